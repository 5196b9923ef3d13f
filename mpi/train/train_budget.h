/* SPDX-License-Identifier: Apache-2.0 */
/* train_budget.h -- the memory that a rank of a training run will ask for, and how it saves. */
#ifndef TRAIN_BUDGET_H
#define TRAIN_BUDGET_H

#include "mpi/grid/grid.h"
#include "mpi/save/saver.h"
#include "src/conf/conf.h"
#include "src/forecast/memory.h"

/* Predict the memory of this rank, print it as a table, and compare that of all ranks of each
 * machine with what the machine has: more can only end badly, and late.  Where a copy of the state
 * is too much on any machine, saves read the state in place on all.
 *
 * Collective on the grid.
 *
 * m        [out]  of this rank
 * n_params [out]  elements of the whole model
 * from     [out]  what saves read
 * returns  OK; ERR_CONFIG (shapes); ERR_MEMORY: reported, not the same on every rank */
int train_budget(struct memory *m, int64_t *n_params, enum save_from *from, const struct conf *c,
                 const struct grid *g);

#endif
