/* SPDX-License-Identifier: Apache-2.0 */
/* sched.h -- learning rates as functions of the step.
 *
 *   lr  |      ____
 *       |    /      \___
 *       |  /            \___
 *       |/                   ----- min_lr
 *       +----+-----------------+----- t
 *        warmup_steps      decay_steps
 *
 * Linear warm-up, cosine decay, as in ttt-lm-jax (optax warmup_cosine_decay_schedule).
 */
#ifndef SCHED_H
#define SCHED_H

#include "src/optim/optim_opts.h"

/* The rate of update t = 0, 1, ...: linear from 0 to lr over the warm-up, then a cosine to min_lr,
 * which it has from decay_steps on.  Update 0 has rate 0 when there is a warm-up.  Local. */
double sched_lr(const struct optim_opts *o, int64_t t);

/* What the base inner learning rate is multiplied with in update t: inner_start at the first, 1
 * after the warm-up, rounded to bfloat16 as the reference does (ttt-lm-jax train.py:251-254).
 * Local. */
double sched_inner(const struct optim_opts *o, int64_t t);

#endif
