/* SPDX-License-Identifier: Apache-2.0 */
/* grid_eval.h -- the evaluation of infer/eval.h on a grid; every number has the same bits.
 *
 *     windows of the data set   over D, as the sequences of a step
 *     layers                    over P
 *     units of a window         over S: padded at the end, so that any window fits any S
 *
 * Forward only: of a long window a rank holds the tokens of its own units and two residual
 * streams of them.  The model needs the weights of the rank's own stage only.
 */
#ifndef GRID_EVAL_H
#define GRID_EVAL_H

#include "mpi/grid/grid.h"
#include "src/infer/eval.h"

/* Evaluate m on the data set d.
 *
 * Collective on the grid.  An error of one rank, for example in reading, ends it on all.
 *
 * r        [out] the result, the same on every rank
 * o        as of eval_run(); o->batch is ignored
 * returns  as eval_run(); ERR_CONFIG also if the grid has more stages than the model has layers */
int grid_eval(struct eval_result *r, const struct grid *g, const struct model *m,
              struct dataset *d, const struct eval_opts *o);

#endif
