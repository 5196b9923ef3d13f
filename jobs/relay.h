/* relay.h -- what a program prints reaches whoever reads our output, or nobody: the program never
 * notices.  mpirun ends a job, or dies, when its reader goes away.
 *
 *     mpirun --> pipe --> a process of its own --> our standard output and error
 *
 * That process outlives us: it reads until the program has ended.  Output that nobody takes any more
 * is read all the same, and launch.jsonl says so, once for each of the two.
 */
#ifndef RELAY_H
#define RELAY_H

/* Start it.
 *
 * to       [out] where the program's standard output and error go; close them once it has them
 * dir      the run's folder
 * returns  OK or ERR_IO, reported */
int relay_start(int to[2], const char *dir);

#endif
