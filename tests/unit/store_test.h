/* SPDX-License-Identifier: Apache-2.0 */
/* store_test.h -- what the tests of stored files share: a folder of their own,
 * whole files in memory, silence where thousands of errors are expected. */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#include <cmocka.h>  /* after ours: it has a macro fail() */

static char work[64];

/* Group set-up and tear-down; nothing may be left allocated. */
static inline int work_make(void **state)
{
    (void)state;
    snprintf(work, sizeof work, "/tmp/ttt-test-XXXXXX");
    return mkdtemp(work) ? 0 : -1;
}

static inline int work_remove(void **state)
{
    char *command = mem_format("rm -rf '%s'", work);
    const int rc = system(command);
    (void)state;
    mem_free(command);
    return rc != 0 || mem_live_blocks() != 0;
}

/* A path inside, good until the eighth call from now. */
static inline const char *at(const char *name)
{
    static char ring[8][512];
    static int next;
    char *p = ring[next++ % 8];
    snprintf(p, sizeof ring[0], "%s/%s", work, name);
    return p;
}

/* The file's content is exactly these bytes. */
static inline void put_file(const char *path, const void *data, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    close(fd);
}

static inline void quiet(int on)
{
    static int saved = -1;
    fflush(stderr);
    if (on && saved < 0) {
        const int null = open("/dev/null", O_WRONLY);
        saved = dup(2);
        dup2(null, 2);
        close(null);
    } else if (!on && saved >= 0) {
        dup2(saved, 2);
        close(saved);
        saved = -1;
    }
}

#endif
