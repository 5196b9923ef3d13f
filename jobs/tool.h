/* SPDX-License-Identifier: Apache-2.0 */
/* tool.h -- run a program of the system and read what it prints.
 *
 * Each program has a time limit (tool_wait_s), after which it and what it started are killed.  One
 * that changes something (sbatch) gets TOOL_CHANGES times as long, because after a timeout nobody
 * knows whether it did.  All functions are local.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stddef.h>

/* Results that are not exit codes: the program can't be started; it took too long; it ended with 0,
 * but printed more than fits. */
enum { TOOL_MISSING = -1, TOOL_LATE = -2, TOOL_LONG = -3 };

enum { TOOL_CHANGES = 4 };

/* The time limit of a question in seconds: TTT_SLURM_WAIT_S from 1 to 3600, or 15. */
int tool_wait_s(void);

/* Is there a file of that name in PATH?  mode: as of access(), X_OK or R_OK. */
int tool_is_there(const char *name, int mode);

/* Run words[0], found in PATH, with the words that follow it, to its end; no shell is involved.
 *
 * out      [out] its standard output, as much as fits, a string
 * quiet    its messages are dropped, not shown to the user
 * returns  its exit code, 128 + the signal that ended it, or one of the codes above */
int tool_run(char *out, size_t room, int quiet, char *const words[]);

/* The same for a program whose output is parsed: in the C locale, without the variables that change
 * what squeue and sacct print (SQUEUE_*, SACCT_*, SINFO_*, SLURM_TIME_FORMAT).
 *
 * why      [out] if the result is not 0, the reason: the last line of its messages, "no answer in
 *          15 s", "it is not installed here"; else "" */
#define TOOL_WHY 256
int tool_ask(char *out, size_t room, char why[TOOL_WHY], char *const words[]);

/* tool_run() with the words given one by one, the last is NULL. */
#define tool(out, room, quiet, ...) \
    tool_run((out), (room), (quiet), (char *const[]){ __VA_ARGS__, NULL })

#endif
