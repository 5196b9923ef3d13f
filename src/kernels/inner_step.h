/* SPDX-License-Identifier: Apache-2.0 */
/* inner_step.h -- the inner step, or inner optimizer: how the state of an inner model moves along
 * the gradient of a mini-batch, and what it keeps from step to step.
 *
 * To add one, write a pair of files like inner_plain.{h,c}, and a row of the table in
 * layers/ttt_inner.h that pairs it with an inner model.  The state of a head is the model's parts
 * (inner_model.h) and after them the step's, in one block: it moves from slice to slice and from
 * rank to rank as a whole.  move_backward() is an exact derivative
 * (tests/unit/test_inner_composed.c).
 *
 * Everything here is Local, for one head, on one thread.
 */
#ifndef INNER_STEP_H
#define INNER_STEP_H

#include "src/kernels/inner_model.h"

/* What a step moves the state by: the sums over the mini-batch's first `tokens` tokens. */
struct inner_move {
    const struct inner_model *model;
    int         F, tokens;
    real        tok;            /* tok_i of the last of them       */
    const real *G;              /* (model's parts)                 */
    const real *sums;           /* (step's rates) sums of the tokens' rates of the step's own */
};

struct inner_move_grad { real *dG, *dsums, *dtok; };  /* each += */

struct inner_step {
    const char *name;
    int rates;              /* numbers of a token that it takes for itself, after the model's */

    /* Part i of what it keeps from step to step, INNER_ZERO; NULL: nothing. */
    int (*part)(const struct inner_model *m, int i, int F, struct inner_part *part);
    int64_t (*work_reals)(const struct inner_model *m, int F);  /* NULL: none */

    /* next (state) [out] = the state after a step from `state`: both have the model's parts and
     * then the step's; they are different blocks.
     * Backward, with the gradient dnext: dstate and d += . */
    void (*move)(real *next, const real *state, const struct inner_move *by, real *work);
    void (*move_backward)(real *dstate, struct inner_move_grad *d, const real *dnext,
                          const real *state, const struct inner_move *by, real *work);
};

#endif
