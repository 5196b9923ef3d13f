/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"

static int optional, reported;

void output_start(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);   /* the lowest that is free */
}

void output_optional(void)
{
    optional = 1;
    signal(SIGPIPE, SIG_IGN);
}

int output_check(void)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || optional) return OK;
    if (reported++) return ERR_IO;
    return fail(ERR_IO, "the result could not be written to standard output completely%s%s",
                errno ? ": " : "", errno ? strerror(errno) : "");
}

const char *output_lost(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) return "standard output";
    return ferror(stderr) ? "standard error" : NULL;
}
