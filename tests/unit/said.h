/* SPDX-License-Identifier: Apache-2.0 */
/* said.h -- messages of code under test, caught to be looked at. */
#ifndef SAID_H
#define SAID_H

#include <stdio.h>
#include <unistd.h>

static char said[1 << 16];  /* what went to stderr between the last hear(1) and hear(0) */

static inline void hear(int on)
{
    static FILE *file;
    static int keep;

    if (on) {
        file = tmpfile();
        keep = dup(2);
        assert_non_null(file);
        dup2(fileno(file), 2);
        return;
    }
    dup2(keep, 2);
    close(keep);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
}

#endif
