/* SPDX-License-Identifier: Apache-2.0 */
/* stop.h -- signals that ask a long run to save a checkpoint and end.
 *
 *     SIGTERM SIGINT SIGHUP    a scheduler that ends a job (PBS: SIGTERM, LSF: SIGINT first),
 *                              Ctrl-C, a terminal that was closed
 *     SIGUSR1 SIGUSR2          what schedulers send some time before the limit of a job: SLURM and
 *                              Flux if they are asked to, LSF (SIGUSR2) also at the limit itself
 *     SIGXCPU                  the soft limit of CPU time, `ulimit -t`
 *
 * SIGHUP is not caught where it is already ignored: nohup does that so that a program survives its
 * terminal.  The handler only sets a flag, so that it cannot interrupt anything half done; later
 * signals change nothing.  The training loop reads the flag between steps, where its state is
 * complete.
 */
#ifndef STOP_H
#define STOP_H

#include <signal.h>

/* First in main(): what libraries did to SIGHUP is undone. */
void stop_start(void);

/* These signals, as a set: for a program that waits for them instead. */
void stop_set(sigset_t *set);

/* From now on the signals set the flag.  If the limits of CPU time are equal, the soft one is
 * lowered by a tenth, at most 120 s: SIGXCPU then comes before SIGKILL. */
void stop_catch(void);

/* Also set the flag when the parent process ends.  For processes that mpirun or a launcher started:
 * without it nobody forwards signals any more.  Not for a process that a shell started. */
void stop_with_parent(void);

/* The signal that came first, or 0. */
int stop_signal(void);

#endif
