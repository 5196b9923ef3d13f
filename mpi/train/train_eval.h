/* SPDX-License-Identifier: Apache-2.0 */
/* train_eval.h -- when a run evaluates, and what it reports of it. */
#ifndef TRAIN_EVAL_H
#define TRAIN_EVAL_H

#include "mpi/train/loop_state.h"

/* Is an evaluation of this step due that was not done before?  Local; the same on every rank. */
int train_eval_due(const struct train_loop *l);

/* Evaluate data.val and report the numbers.  A failure is reported and costs only the numbers.
 *
 * Collective on the grid.
 *
 * returns  1 if a signal ended it, so that it is repeated when the run is resumed; else 0 */
int train_eval(struct train_loop *l);

#endif
