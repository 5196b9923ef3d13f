/* train_budget.h -- the memory that a rank of a training run will ask for. */
#ifndef TRAIN_BUDGET_H
#define TRAIN_BUDGET_H

#include "mpi/train_step.h"
#include "src/conf/conf.h"
#include "src/model/budget.h"

/* Compute it, print it as a table, and compare it with what the machine has: more can only end
 * badly, and late.
 *
 * Local.  b [out].
 * returns OK, ERR_CONFIG (shapes), ERR_MEMORY */
int train_budget(struct budget *b, const struct conf *c, const struct dims *d,
                 const struct step_opts *o, const struct grid *g);

#endif
