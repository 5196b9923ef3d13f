/* SPDX-License-Identifier: Apache-2.0 */
/* on_grid.h -- what ttt eval and ttt probe do alike when several processes work as a grid. */
#ifndef ON_GRID_H
#define ON_GRID_H

#include "mpi/grid/grid.h"

struct model;
struct team;

struct on_grid {
    struct axis world;
    const char *grid;   /* DxPxS, or NULL: one that fits the work */
};

/* The part of a team that both commands share; `j` is its context.  Local. */
struct team on_grid_team(struct on_grid *j);

/* Make the grid that was asked for, or one that fits the work.  Collective on world.
 *
 * g        [out] release with grid_done() if this returns OK
 * returns  the same on all ranks: OK, or what does not fit, reported */
int on_grid_make(struct grid *g, const struct on_grid *j, const struct step_shape *w);

/* Compare the weights of all ranks, because files of another node may be others; warn if equal bits
 * can't be promised on the processor of one.  Collective on world.
 *
 * returns  the same on all ranks: OK, or what differs, reported */
int on_grid_same_model(const struct on_grid *j, const struct model *m);

#endif
