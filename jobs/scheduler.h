/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.h -- `ttt launch` inside a job of a scheduler, in a batch script that the user wrote.
 *
 *     scheduler   in its job if         hosts and slots
 *     SLURM       SLURM_JOB_ID          SLURM_JOB_NODELIST, SLURM_TASKS_PER_NODE (slurm_hosts())
 *     PBS         PBS_JOBID             the file PBS_NODEFILE, a line for each slot; Torque, too
 *     LSF         LSB_JOBID             the file LSB_DJOB_HOSTFILE, the same; else LSB_MCPU_HOSTS,
 *                                       "node1 4 node2 4"
 *     Flux        FLUX_URI              flux resource list, "8 node[1-2]": cores and hosts
 *
 * Hosts that the user names win.  Which signals these schedulers send is in stop.h.  The job ends
 * with 85 when its script is to submit it again, and only then.  All functions are local.
 */
#ifndef SCHEDULER_H
#define SCHEDULER_H

#include "jobs/launch.h"

/* Take the hosts of the job that this process runs in.  If fewer processes than slots are asked for,
 * each host gets an equal share of them.
 *
 * l        [in,out] opened, not planned; unchanged if it has hosts already, or outside a job
 * returns  OK; ERR_CONFIG, ERR_MISSING or ERR_IO, reported */
int scheduler_hosts(struct launch *l);

/* launch_run().  In a job also: a run that was asked to stop while the job waited does not begin, and
 * jobs that bring no new checkpoint end.
 *
 * returns  as launch_run(), but OK after `ttt stop`: then nobody is to submit the job again */
int scheduler_run(struct launch *l);

#endif
