/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.h -- one training run, from its configuration to its last checkpoint.
 *
 *   data, tokenizer, model fit?  ->  the run's folder is ours  ->  newest
 *   checkpoint or initial weights  ->  steps (train_loop)  ->  saved
 *
 * A run that is started again resumes from its newest valid checkpoint; for a
 * finished run a message is printed, and nothing changes.
 */
#ifndef TRAINER_H
#define TRAINER_H

#include "mpi/grid/comm.h"
#include "src/conf/conf.h"

struct trainer_opts {
    int allow_data_change;     /* resume on other data than the checkpoint's  */
    int allow_config_change;   /* resume with a configuration that computes something else */
    int allow_numerics_change; /* resume although this machine computes something else (canary.h) */
    int takeover;              /* take the run away from a process that owns it */
    const char *trace;         /* file for the timeline of the steps; NULL: none          */
    int profile;               /* say at the end where the time went                      */
    double gflops;             /* for it: rate of dense products of this rank             */
    double (*peak)(int in_bf16);  /* measures the arithmetic peak of this rank, GFLOP/s, while the
                                   * others do                                            */
};

/* Collective on world; every process returns the same status: OK, ERR_SAVED, or what went
 * wrong, which one of them has reported. */
int trainer_run(const struct conf *c, const struct trainer_opts *o, const struct axis *world);

#endif
