/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.h -- a process that observes whether the processes of a job make progress.
 *
 *     every process          page in /dev/shm (src/base/beacon.h)
 *     a process per machine  reads the pages each half second, judges (src/base/verdict.h)
 *
 * The watchdog is forked by the first process of a machine before MPI starts, and ends with it.  A
 * process that hangs is reported, noted in launch.jsonl, and killed, so that mpirun ends the job
 * and the launcher starts it again.  The watchdogs of several machines compare their suspects
 * through files in the run's folder: the worst suspect of all is the culprit, since on the other
 * machines all processes only wait for it.
 *
 * It works only under a launcher: a user may have stopped a process in a terminal on purpose.  And
 * it kills only processes of this job, which it verifies (process.h): anybody could have written a
 * page.
 */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include "mpi/grid/comm.h"
#include "src/conf/conf.h"

/* Start the watchdog and this process's page: before comm_start(), and after everything else that
 * forks.  Remove the page: after comm_stop().  Local. */
void watchdog_start(const struct conf *c);
void watchdog_stop(void);

/* If one process could not make its page, none is watched: the watchdog would take one of those
 * that wait for it for the culprit.  The reason is printed as a warning.
 *
 * Collective on world, once, after comm_start(). */
void watchdog_agree(const struct axis *world);

#endif
