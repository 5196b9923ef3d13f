/* grid_probe.h -- the probe of infer/probe.h, computed on a grid: by the training step itself.
 *
 *     sequences over D, layers over P, units of them over S
 *     every rank puts what it has into zeros; put together they are the whole
 *
 * Forward numbers are the bits of one process, gradients those of REDUCE_FAST.  For small inputs:
 * every rank holds the whole output, and the whole model, which rank 0 needs for names.
 */
#ifndef GRID_PROBE_H
#define GRID_PROBE_H

#include "mpi/grid/grid.h"
#include "src/infer/probe.h"

/* Collective on the grid; tok is the same everywhere.  o->slice: a multiple of the mini-batch; 0:
 * as long as fits the grid.
 *
 * *out     whole on rank 0; of no use elsewhere, to be freed all the same
 * returns  as probe_run(); ERR_CONFIG also if the grid does not fit; the same on all ranks */
int grid_probe(struct probe **out, const struct grid *g, const struct model *m,
               const int32_t *tok, int B, int L, const struct probe_opts *o);

#endif
