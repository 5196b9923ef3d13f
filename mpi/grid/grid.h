/* SPDX-License-Identifier: Apache-2.0 */
/* grid.h -- the process grid D x P x S and its axes.
 *
 *     world   all ranks; rank = (d P + p) S + s
 *     seq     same d, p: chunks of the same sequences         (S)
 *     pipe    same d, s: stages                               (P)
 *     data    same p, s: other sequences                      (D)
 *     replica same p: all that hold the same layers           (D S)
 *     ends    first and last stage: all that hold a tied embedding (2 D S); only where P > 1
 *
 * S is fastest, so that carries travel inside a node when ranks are placed in order.
 */
#ifndef GRID_H
#define GRID_H

#include "mpi/grid/comm.h"
#include "src/base/real.h"
#include "src/plan/share.h"

#ifdef TTT_F64
#define REAL_MPI MPI_DOUBLE
#else
#define REAL_MPI MPI_FLOAT
#endif

struct grid {
    struct grid_shape shape;
    int               d, p, s;
    struct axis       world, seq, pipe, data, replica;
    struct axis       ends;      /* size 0 where we are not on an end, or P = 1 */
};

/* Arrange the ranks of world as a grid and make its axes.
 *
 * Collective on world; shape must agree.
 *
 * returns OK, or ERR_CONFIG on all ranks when D P S is not the number of ranks */
int grid_init(struct grid *g, const struct axis *world, const struct grid_shape *shape);

/* Free the axes.  Collective on world. */
void grid_done(struct grid *g);

#endif
