/* SPDX-License-Identifier: Apache-2.0 */
/* forecast.h -- what a grid is expected to do, and which grids are best. */
#ifndef FORECAST_H
#define FORECAST_H

#include "src/conf/conf.h"
#include "src/forecast/cost.h"

struct forecast {
    struct grid_shape grid;
    struct sim_result sim;
    struct sim_events events;       /* if they were wanted                     */
    struct memory     most;         /* of the rank that needs most memory      */
    int               most_rank, nodes;
    int64_t           node_bytes;   /* of the node that needs most             */
    int               in_place;     /* without the copies of mpi/save/saver.h: they do not fit */
    int               fits;         /* node_bytes is there                     */
    double            tok_per_s;
};

/* Costs of a run as its configuration describes it, on any grid; cost_done().  Local.
 *
 * returns  OK; ERR_CONFIG as memory_plan_init() reports it */
int forecast_cost(struct cost *cost, const struct conf *c, const struct rates *r);

/* Predict a step and the memory of all ranks of a grid; forecast_done().  Local.
 *
 * events   0/1 keep the operations with their times
 * returns  OK; ERR_CONFIG as share_check() reports it */
int forecast_init(struct forecast *f, struct cost *c, const struct grid_shape *g,
                  const struct rates *r, int events);
void forecast_done(struct forecast *f);

/* The grids of `ranks` ranks on which every rank has work, as forecasts without events: those
 * that fit, fastest first, then the others, smallest first.
 *
 * list     [out]  owned by the caller: forecasts_free()
 * returns  OK, or ERR_CONFIG when there is none, reported */
int forecast_all(struct forecast **list, int *count, struct cost *c, int ranks,
                 const struct rates *r);
/* The most ranks, at most `ranks`, that some grid gives work to, each of them.  Local. */
int forecast_ranks(const struct cost *c, int ranks);

void forecasts_free(struct forecast *list, int count);

#endif
