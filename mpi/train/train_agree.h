/* SPDX-License-Identifier: Apache-2.0 */
/* train_agree.h -- is it the same training on every rank?  Compared by job_agree(). */
#ifndef TRAIN_AGREE_H
#define TRAIN_AGREE_H

#include "mpi/grid/comm.h"
#include "src/infer/train_inputs.h"

/* Compare build and configuration, except for keys that may differ between machines: run.dir,
 * run.threads, and the path of the data, whose fingerprint is compared.
 *
 * Collective on world; traced: 1 for a timeline, 2 for a profile, 3 for both.
 * returns OK, or ERR_CONFIG on all ranks, reported once */
int train_job_agree(const struct conf *c, int traced, const struct axis *world);

/* Compare the data.  Collective on world; returns as train_job_agree(). */
int train_inputs_agree(const struct train_inputs *in, const struct axis *world);

#endif
