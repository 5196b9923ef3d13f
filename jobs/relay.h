/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h -- forwards the output of a program, so that the program never notices when our reader
 * goes away: mpirun ends a job, or dies, when that happens to it.
 *
 *     mpirun --> pipe --> a process of its own --> our standard output and error
 *
 * That process outlives the launcher: it reads until the program has ended.  Output that can't be
 * written any more is read nevertheless and dropped; launch.jsonl records that, once for standard
 * output and once for standard error.
 *
 * Standard error is held back until the processes of the run have found each other (LAUNCH_ALIVE), or
 * one of them reports an error.  If the program ends before, what it said is in RUN/start.log and
 * nowhere else: launch_start.c makes one line of it.  srun's report that a process was killed for
 * lack of memory becomes an event "oom" in launch.jsonl.
 */
#ifndef RELAY_H
#define RELAY_H

/* The name of that file in the run's folder. */
#define RELAY_FILE "start.log"

/* Start the process that forwards.  Local.
 *
 * to       [out] the ends of two pipes for the program's standard output and error; close them once
 *          the program has them
 * dir      the run's folder
 * times    begin each line of standard error with the time of day
 * returns  OK or ERR_IO, reported */
int relay_start(int to[2], const char *dir, int times);

#endif
