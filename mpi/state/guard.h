/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h -- memory that changes by itself is found before it is trained on.
 *
 *     update, gather  | seal                           compute the next step | verify  | update
 *                       a hash of every tensor                                 the same?
 *                       replicas: the same weights?
 *
 * Between two updates nobody writes to weights and moments.  So a bit that flipped there, on any
 * rank, is found by the rank itself, which names itself and the tensor; and weights that came to
 * one replica otherwise than to the others are found by comparing.  Once in N steps this costs one
 * look at every byte before and one after a step.
 */
#ifndef GUARD_H
#define GUARD_H

#include "mpi/state/train_state.h"

struct guard;

/* Local; st is borrowed, and its arrays stay where they are. */
struct guard *guard_new(const struct train_state *st);
void guard_free(struct guard *g);

/* Note what the state is now.
 *
 * Collective on the grid.
 *
 * returns  OK; ERR_IO on all ranks if replicas have different weights: reported */
int guard_seal(struct guard *g);

/* Is it still that?  The seal is gone then; without one, nothing is done.
 *
 * Collective on the grid.
 *
 * returns  OK; ERR_IO on all ranks if not: reported */
int guard_verify(struct guard *g);

/* The state was changed on purpose.  Local. */
void guard_reset(struct guard *g);

#endif
