/* SPDX-License-Identifier: Apache-2.0 */
/* cost.h -- seconds and messages of a training step on a grid, from shapes and the rates of a
 * machine, before anything runs.
 *
 *   operation        seconds, of one sequence and a unit of T tokens
 *   FORWARD          T flops / (gflops forward)                                 flops: products of
 *   BACKWARD         2 T flops / (gflops backward) + gradient sums of a layer   one token, forward
 *                    (+ FORWARD with activation recomputation)
 *                    of a layer with a past: more for tokens further on
 *   HEAD             3 T flops / (gflops head) + gradient sums of the head every unit or HEAD_ROWS
 *   the others       bytes / memory rate
 *
 * Gradient sums are read and written at the memory rate, 8 bytes an element in exact mode, and so
 * is everything after them; that part does not shrink with the unit.
 */
#ifndef COST_H
#define COST_H

#include "src/forecast/memory.h"
#include "src/forecast/rates.h"
#include "src/plan/step_sim.h"

struct cost {
    struct memory_plan  memory;        /* the run, its shape, its grid                        */
    double              flops;         /* of a rank, a second                                 */
    struct sim_input    in;            /* for step_sim(), once a grid is set                  */
    struct sim_layer   *layers;        /* (L) where blocks differ, else NULL; owned           */
    double             *optim_s;       /* (ranks) SOAP's part of an update, else NULL; owned  */
};

/* Everything except the grid.  Local.
 *
 * returns  OK; ERR_CONFIG as memory_plan_init() reports it */
int cost_init(struct cost *c, const struct run_shape *run, const struct rates *r);
void cost_done(struct cost *c);

/* Choose the grid; may be called again for another one.  Local.
 *
 * returns  OK; ERR_CONFIG as share_check() reports it */
int cost_grid(struct cost *c, const struct grid_shape *g);

/* Seconds of reading and writing gradient sums at bytes_per_s: of a unit in block l, of a token of
 * a unit of T tokens in the head.  Local. */
double cost_layer_sums(const struct model *m, int l, enum reduction mode, double bytes_per_s);
double cost_head_sums(const struct model *m, enum reduction mode, int T, double bytes_per_s);

#endif
