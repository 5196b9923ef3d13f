/* SPDX-License-Identifier: Apache-2.0 */
/* eval_pass.h -- the forward-only passes of a run: an evaluation on a grid, and the canary's pass.
 *
 * Pure functions of shapes: what executes such a pass (mpi/infer/grid_eval.c, mpi/train/canary.c)
 * and what predicts its memory (src/forecast/memory.c) ask the same.
 */
#ifndef EVAL_PASS_H
#define EVAL_PASS_H

#include <stdint.h>

#include "src/layers/dims.h"
#include "src/model/pass.h"

/* How windows are read on a grid of D replicas and S ranks of a sequence.  Units are as long as is
 * good for the matrix products, and there is at least one for every rank along S.  The last one is
 * of whole mini-batches, too, and of more than one token: eval_rows().  Local.
 *
 * o        [out]  mask_token is -1
 * K        tokens of a mini-batch
 * longest  tokens of the longest window, >= 1
 * windows  of the data set, >= 1
 * returns  OK; ERR_CONFIG if a window is too long for a grid: reported */
int eval_pass(struct pass_opts *o, int K, int64_t longest, int64_t windows, int D, int S);

/* How the canary's reference sequence is processed (mpi/train/canary.h): one sequence of as many
 * units as training has, so that any grid of it can process it, but of short ones.  Local. */
struct pass_opts canary_pass(const struct dims *d, const struct pass_opts *training);

#endif
