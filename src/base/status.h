/* SPDX-License-Identifier: Apache-2.0 */
/* status.h -- results of functions, exit codes, and the three ways to end after an error.
 *
 * An error of a user or a machine is a negative enum status, and fail() reports
 * it where it is noticed.  A bug of the program ends it in die().  A program
 * that ends with status s has exit code -s: this is the table of exit codes of
 * every command.
 */
#ifndef STATUS_H
#define STATUS_H

enum status {
    OK = 0,
    ERR_USAGE = -64,       /* command line                                   */
    ERR_DATA = -65,        /* input or stored data is damaged                */
    ERR_MISSING = -66,     /* an input is not there                          */
    ERR_MEMORY = -71,      /* out of memory                                  */
    ERR_IO = -74,          /* reading or writing failed, disk full           */
    ERR_OWNER = -75,       /* another process owns the run, or may           */
    ERR_CONFIG = -78,      /* configuration, or things that do not fit it    */
    ERR_SAVED = -85,       /* asked to stop: state saved, start me again     */
    ERR_HANG = -86,        /* a process hung                                 */
    ERR_DIVERGED = -87,    /* too many non-finite steps                      */
    ERR_NO_PROGRESS = -93  /* restarts bring nothing: do not restart         */
};

/* A row of the table for `ttt --help`; NULL past the end.  Local. */
const char *status_row(int i, int *exit_code);

/* Report an error (printf form, no newline) and return rc.  Local. */
int fail(int rc, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Run `call`; if it fails, leave through the label `out` with the cause in
 * the local variable `rc`.  A function that uses TRY has exactly one exit. */
#define TRY(call) do { if ((rc = (call)) != OK) goto out; } while (0)

/* An invariant does not hold: report file and line, and end the program (the
 * whole job, once a hook was set).  Local; does not return. */
#define die(...) die_at(__FILE__, __LINE__, __VA_ARGS__)
void die_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* Active in every build. */
#define check(cond) do { if (!(cond)) die("check failed: %s", #cond); } while (0)

/* End the program with status rc after a message was printed, for example when
 * memory runs out.  Local; does not return. */
void leave(int rc) __attribute__((noreturn));

/* Called by die() and leave() before the process ends; mpi/grid/comm.c ends
 * the whole job here.  NULL removes it. */
void status_hook(void (*hook)(int exit_code));

#endif
