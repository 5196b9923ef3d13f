/* process.h -- another process of this machine, beyond doubt.
 *
 * The number of a process that has ended is given to another one.  So a process is its number and
 * the moment at which it began; and it is one of ours if it also runs as our user and carries a
 * certain variable since it was started.  Nobody else can read that variable or put it there.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>

/* When process `pid` began, in ticks of the machine since it was started.  Local.
 * returns -1 if there is no such process, or only its remains */
int64_t process_born(int64_t pid);

/* What it does: R runs, S and D wait, T is stopped.  Local.
 * returns 0 if it has ended, whoever has its number now */
char process_state(int64_t pid, int64_t born);

/* Is it there, does it run as our user, and was it started with this in its environment?  Local.
 * assignment  "NAME=VALUE", all of it */
int process_is_ours(int64_t pid, int64_t born, const char *assignment);

/* Ask the same, and send it a signal: no other process can get it.  Local.
 * returns 1 if it was sent */
int process_signal(int64_t pid, int64_t born, const char *assignment, int sig);

#endif
