/* ttt_mlp.h -- TTT-MLP: the inner model is f(x) = gelu(x W1 + b1) W2 + b2, hidden width 4F.
 *
 *     Z1 = X W1 + b1,  X2 = gelu(Z1),  Z2 = X2 W2 + b2
 *     g2 = d/dZ2 1/2 |LN(Z2) - (V - X)|^2,  g1 = (g2 W2') * gelu'(Z1)        [E16]
 *     Z1b = Q W1 + b1 - M1 g1,   X2b = gelu(Z1b),   Z2b = X2b W2 + b2 - M2 g2
 *     O = Q + LN(Z2b)                                                      [E17]
 *
 * with M1, M2 and the steps of W1, b1, W2, b2 as in inner_dense.h.  gelu is the tanh form; gelu' in
 * [E16] is the reference's own formula with its rounded constants, and the outer backward
 * differentiates that formula.  The state of a head is W1 (F,4F), b1 (4F), W2 (4F,F), b2 (F).
 * Source: ttt-lm-pytorch cd831db ttt.py:1026-1170.
 *
 * 56 F^2 + 20 K F flops a token forward.
 */
#ifndef TTT_MLP_H
#define TTT_MLP_H

#include "src/kernels/inner.h"

extern const struct inner inner_mlp;

#endif
