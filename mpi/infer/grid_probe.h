/* SPDX-License-Identifier: Apache-2.0 */
/* grid_probe.h -- the probe of infer/probe.h on a grid, computed by the training step itself.
 *
 *     sequences over D, layers over P, units of them over S
 *     every rank writes its part into arrays of zeros; their sum is the whole
 *
 * Forward numbers have the bits of one process, gradients those of REDUCE_FAST.  It is made for
 * small inputs: every rank holds the whole output and the whole model, of which rank 0 needs the
 * names.
 */
#ifndef GRID_PROBE_H
#define GRID_PROBE_H

#include "mpi/grid/grid.h"
#include "src/infer/probe.h"

/* Run the probe on the sequences tok (B,L).
 *
 * Collective on the grid; tok must agree.
 *
 * out      [out] complete on rank 0 only; the caller frees it on every rank
 * o        o->slice: a multiple of the mini-batch; 0: as long as fits the grid
 * returns  as probe_run(); ERR_CONFIG also if the grid does not fit; the same on all ranks */
int grid_probe(struct probe **out, const struct grid *g, const struct model *m,
               const int32_t *tok, int B, int L, const struct probe_opts *o);

#endif
