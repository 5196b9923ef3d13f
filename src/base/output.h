/* output.h -- standard output: a result that did not reach its reader in full is an error.
 *
 * Commands print with stdio as they like.  What was lost, a full disk, a reader that went away, a
 * descriptor that was closed, is found when the command ends, in main().
 */
#ifndef OUTPUT_H
#define OUTPUT_H

/* First thing in a program.  A standard descriptor that is closed is taken, so that no file that is
 * opened later gets its number and the text; reading and writing it fails as before. */
void output_start(void);

/* What is printed is for whoever watches, and the result is elsewhere: from now on its loss is no
 * error, and a reader that goes away does not end the program (SIGPIPE is ignored, here and in
 * programs that it starts). */
void output_optional(void);

/* OK, or ERR_IO with an error message, once, if something printed so far was lost. */
int output_check(void);

/* What takes no more text, "standard output" or "standard error"; NULL: both do. */
const char *output_lost(void);

#endif
