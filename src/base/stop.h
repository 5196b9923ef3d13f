/* stop.h -- signals that ask a long run to save a checkpoint and end.
 *
 *     SIGTERM SIGINT SIGHUP    a scheduler, Ctrl-C, a terminal that was closed
 *     SIGUSR1 SIGUSR2          what schedulers send some time before the limit of a job
 *     SIGXCPU                  the soft limit of CPU time, `ulimit -t`
 *
 * SIGHUP is left out where it is ignored already: that is how nohup asks a program to survive its
 * terminal.  The handler sets a flag and nothing else; later signals change nothing.  The training
 * loop reads the flag between steps, where its state is whole.
 */
#ifndef STOP_H
#define STOP_H

#include <signal.h>

/* These signals, as a set: for a program that waits for them instead. */
void stop_set(sigset_t *set);

/* From now on the signals set the flag.  A hard limit of CPU time gets a soft one before it: a tenth,
 * at most 120 s. */
void stop_catch(void);

/* Ask for the same when the process that started this one ends, if that is mpirun or a launcher:
 * without it nobody forwards signals any more.  Not for a process that a shell started. */
void stop_with_parent(void);

/* The signal that came first, or 0. */
int stop_signal(void);

#endif
