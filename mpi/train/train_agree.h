/* train_agree.h -- is it the same training on every rank?  Compared by job_agree(). */
#ifndef TRAIN_AGREE_H
#define TRAIN_AGREE_H

#include "mpi/grid/comm.h"
#include "src/infer/train_inputs.h"

/* Build and configuration, but for keys that belong to a place: run.dir, run.threads, and where
 * the data lies, since its fingerprint is compared.
 *
 * Collective on world; traced: 1 for a timeline, 2 for a profile, 3 for both.
 * returns OK, or ERR_CONFIG on all ranks, said once */
int train_job_agree(const struct conf *c, int traced, const struct axis *world);

/* The data.  Collective on world; as train_job_agree(). */
int train_inputs_agree(const struct train_inputs *in, const struct axis *world);

#endif
