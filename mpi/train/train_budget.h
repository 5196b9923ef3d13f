/* train_budget.h -- the memory that a rank of a training run will ask for, and how it saves. */
#ifndef TRAIN_BUDGET_H
#define TRAIN_BUDGET_H

#include "mpi/save/saver.h"
#include "mpi/train/train_step.h"
#include "src/conf/conf.h"
#include "src/model/budget.h"

/* Compute it, print it as a table, and compare it with what the machine has for all its ranks: more
 * can only end badly, and late.  Where a copy of the state is too much on any machine, saves read
 * it in place on all.
 *
 * Collective.  b, from [out].
 * returns OK, ERR_CONFIG (shapes), ERR_MEMORY */
int train_budget(struct budget *b, enum save_from *from, const struct conf *c,
                 const struct dims *d, const struct step_opts *o, const struct grid *g);

#endif
