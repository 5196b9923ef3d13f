/* SPDX-License-Identifier: Apache-2.0 */
/* step_faults.h -- faults that tests plant in a training step.
 *
 *   TTT_FAIL="nan-weight:NAME#3=err"    in step 3 of this process, the first element of parameter
 *                                       NAME is NaN
 *   TTT_FAIL="nan-grad:NAME#*=err"      in every step, a contribution to its gradient is NaN
 *   TTT_FAIL="nan-once:NAME"            the same, but not when the step is computed again
 *   TTT_FAIL="flip:NAME"                a bit of this tensor of the state flips during the step,
 *                                       where the tensor is held or owned
 *   TTT_FAIL="flip-gathered:NAME"       the same, after the step's update
 *
 * Nothing happens, and nothing is asked, where no failpoint is armed (base/failpoint.h).
 */
#ifndef STEP_FAULTS_H
#define STEP_FAULTS_H

#include "mpi/state/train_state.h"
#include "src/param/grad.h"

/* The faults of one step. */
struct step_faults {
    real   *weight, was;   /* the weight that is NaN, and its value; NULL: none          */
    int64_t grad, once;    /* flat offsets of gradients that become NaN; -1: none        */
};

/* Ask which faults this step has, and make the weight NaN.  Local.
 *
 * returns  whether a weight changed: train_state_changed() is due */
int step_faults_begin(struct step_faults *f, struct model *m);

/* Add NaN to the gradient; again: 0/1 the step is computed for the second time.  Local. */
void step_faults_gradient(const struct step_faults *f, struct grad *g, int again);

/* Give the weight its value back; returns whether there was one, as above.  Local. */
int step_faults_end(const struct step_faults *f);

/* Flip a bit of the tensor that a failpoint "kind:NAME" names: "flip", "flip-gathered".  Local. */
void step_faults_flip(const struct train_state *st, const char *kind);

#endif
