/* SPDX-License-Identifier: Apache-2.0 */
/* ranks.h -- what the processes of a job really have: reported once, a line for each machine.
 *
 *     processes on n1 and 3 more machines: 2 with 4 threads on 4 cores each (CPUs 0-3 4-7)
 *
 * A launcher asks for cores; a batch system, a cpuset or another MPI may have given others.  The line
 * is also the first sign that MPI works: ttt launch holds back what it printed until then.
 */
#ifndef RANKS_H
#define RANKS_H

#include "mpi/grid/comm.h"

/* Report it, and write it into launch.jsonl under ttt launch.
 *
 * Collective on world, once, after the number of threads was chosen.
 *
 * run      the run's folder; NULL: it is not known */
void ranks_report(const char *run, const struct axis *world);

#endif
