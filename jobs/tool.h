/* tool.h -- run a program of the system and read what it prints. */
#ifndef TOOL_H
#define TOOL_H

#include <stddef.h>

/* Run words[0], found in PATH, with the words that follow it, to its end; no shell is involved.
 *
 * out      [out] its standard output, as much as fits, a string
 * quiet    its messages are dropped, not shown to the user
 * returns  its exit code, 128 + the signal that ended it, or -1 if it is not there */
int tool_run(char *out, size_t room, int quiet, char *const words[]);

/* The same with the words given one by one, the last is NULL. */
#define tool(out, room, quiet, ...) \
    tool_run((out), (room), (quiet), (char *const[]){ __VA_ARGS__, NULL })

#endif
