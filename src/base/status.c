/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/log.h"
#include "src/base/utf8.h"

static const struct { int rc; const char *text; } rows[] = {
    { OK, "done" },
    { ERR_USAGE, "wrong use of the command line" },
    { ERR_DATA, "input or stored data is damaged" },
    { ERR_MISSING, "an input is missing" },
    { ERR_MEMORY, "out of memory" },
    { ERR_IO, "reading or writing failed (disk full, quota, I/O error), memory faulty" },
    { ERR_OWNER, "another process owns this run, or it is not known whether one does" },
    { ERR_CONFIG, "configuration error, or data and model that do not fit it" },
    { ERR_SAVED, "stopped by a signal: state saved, start the same command again" },
    { ERR_HANG, "a process hung" },
    { ERR_DIVERGED, "diverged: too many non-finite steps in a row" },
    { ERR_NO_PROGRESS, "restarts bring no progress: do not restart" },
};

static void (*end_hook)(int);

const char *status_row(int i, int *exit_code)
{
    if (i < 0 || i >= (int)(sizeof rows / sizeof *rows)) return NULL;
    *exit_code = -rows[i].rc;
    return rows[i].text;
}

int fail(int rc, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    log_verror(format, ap);
    va_end(ap);
    return rc;
}

void leave(int rc)
{
    fflush(NULL);
    if (end_hook) end_hook(-rc);
    exit(-rc);
}

void die_at(const char *file, int line, const char *format, ...)
{
    char what[1024], shown[4 * sizeof what];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    utf8_visible(shown, sizeof shown, what);
    fprintf(stderr, "ttt: %s:%d: %s\n", file, line, shown);
    fflush(NULL);
    if (end_hook) end_hook(70);
    abort();
}

void status_hook(void (*hook)(int exit_code)) { end_hook = hook; }
