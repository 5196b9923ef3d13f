/* watchdog.h -- somebody looks whether the processes of a job go on.
 *
 *     every process          page in /dev/shm (src/base/beacon.h)
 *     a process per machine  reads the pages each half second, judges (src/base/verdict.h)
 *
 * The watchdog is forked by the first process of a machine before MPI starts, and ends with it.
 * Who hangs is said, noted in launch.jsonl, and killed, so that mpirun ends the job and the launcher
 * starts it again.  Watchdogs of several machines compare their suspects through files in the run's
 * folder: the worst suspect of all is the culprit, since on the other machines everybody waits.
 *
 * Only under a launcher: in a terminal, a process that is stopped may be meant to be.  And only
 * processes of this job: a page, whoever wrote it, gives no right over any other (process.h).
 */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include "mpi/grid/comm.h"
#include "src/conf/conf.h"

/* Local, before comm_start() and after everything else that forks; after comm_stop(). */
void watchdog_start(const struct conf *c);
void watchdog_stop(void);

/* If one process could not share what it does, none is watched: the others, which wait for it, would
 * be taken for the culprit.  The reason is a warning.  Collective on world, once, after
 * comm_start(). */
void watchdog_agree(const struct axis *world);

#endif
