/* SPDX-License-Identifier: Apache-2.0 */
/* inner_mlp.h -- the inner model f(x) = gelu(x W1 + b1) W2 + b2, hidden width 4F: what TTT-MLP
 * trains.
 *
 *     Z1 = X W1 + b1,  X2 = gelu(Z1),  Z2 = X2 W2 + b2,  O = Q + LN(f(Q))          [E17]
 *     g2 = d loss / dZ2,  A = g2 W2',  g1 = A * gelu'(Z1)                          [E16]
 *     dloss/dW1 = X' g1,  dloss/db1 = 1' g1,  dloss/dW2 = X2' g2,  dloss/db2 = 1' g2
 *
 * gelu is the tanh form; gelu' in [E16] is the reference's own formula with its rounded constants,
 * and the outer backward differentiates that formula.  The state of a head is W1 (F,4F), b1 (4F),
 * W2 (4F,F), b2 (F).  Its mini-batches in the dual form: ttt_mlp.h.
 */
#ifndef INNER_MLP_H
#define INNER_MLP_H

#include "src/kernels/inner_model.h"

#define INNER_MLP_HIDDEN 4  /* hidden width in head widths */

extern const struct inner_model inner_mlp;

/* The parts of a state, or of a block like it. */
struct inner_mlp_parts { real *W1, *b1, *W2, *b2; };

static inline struct inner_mlp_parts inner_mlp_parts(const real *block, int F)
{
    real *p = (real *)(uintptr_t)block;
    const int64_t M = (int64_t)INNER_MLP_HIDDEN * F;
    return (struct inner_mlp_parts){ p, p + F * M, p + F * M + M, p + 2 * F * M + M };
}

#endif
