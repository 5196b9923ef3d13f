/* SPDX-License-Identifier: Apache-2.0 */
/* process.h -- identify another process of this machine with certainty.
 *
 * The system gives the number of a process that has ended to a new one.  So a process is identified
 * by its number and the time at which it began.  It belongs to this job if it also runs as our user
 * and was started with a certain variable in its environment, which no other user can read or set.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>

/* When process `pid` began, in clock ticks since the machine was started.  Local.
 * returns -1 if there is no such process, or if it is a zombie */
int64_t process_born(int64_t pid);

/* State of a process: R runs, S and D wait, T is stopped.  Local.
 * returns 0 if it has ended, even if another process has its number now */
char process_state(int64_t pid, int64_t born);

/* Does it exist, run as our user, and have this in the environment it was started with?  Local.
 * assignment  "NAME=VALUE", all of it */
int process_is_ours(int64_t pid, int64_t born, const char *assignment);

/* If process_is_ours(), send it a signal; no other process can get it.  Local.
 * returns 1 if it was sent */
int process_signal(int64_t pid, int64_t born, const char *assignment, int sig);

/* In a new process: close the files that it has from its parent, except the standard ones and those of
 * `keep`, which -1 ends.  Local. */
void process_close_files(const int keep[]);

#endif
