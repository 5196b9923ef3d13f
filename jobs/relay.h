/* relay.h -- forwards the output of a program, so that the program never notices when our reader
 * goes away: mpirun ends a job, or dies, when that happens to it.
 *
 *     mpirun --> pipe --> a process of its own --> our standard output and error
 *
 * That process outlives the launcher: it reads until the program has ended.  Output that can't be
 * written any more is read nevertheless and dropped; launch.jsonl records that, once for standard
 * output and once for standard error.
 */
#ifndef RELAY_H
#define RELAY_H

/* Start the process that forwards.  Local.
 *
 * to       [out] the ends of two pipes for the program's standard output and error; close them once
 *          the program has them
 * dir      the run's folder
 * returns  OK or ERR_IO, reported */
int relay_start(int to[2], const char *dir);

#endif
