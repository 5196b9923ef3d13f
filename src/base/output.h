/* SPDX-License-Identifier: Apache-2.0 */
/* output.h -- standard output: a result that could not be written completely is an error.
 *
 * Commands print with stdio.  A loss (the disk was full, the reader of a pipe ended, the descriptor
 * was closed) is found when the command ends, in main().
 */
#ifndef OUTPUT_H
#define OUTPUT_H

/* Call it first in main().  A standard descriptor that is closed gets occupied, so that no file
 * that is opened later has its number and receives the text; reading and writing it still fail. */
void output_start(void);

/* For commands whose result is in files and whose output only shows progress: from now on lost
 * output is not an error, and the end of a reader does not end the program (SIGPIPE is ignored,
 * also in programs that this one starts). */
void output_optional(void);

/* OK, or ERR_IO with an error message, once, if something printed so far was lost. */
int output_check(void);

/* Which of the two cannot be written any more, "standard output" or "standard error"; NULL:
 * none. */
const char *output_lost(void);

#endif
