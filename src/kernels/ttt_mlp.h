/* SPDX-License-Identifier: Apache-2.0 */
/* ttt_mlp.h -- TTT-MLP: the inner model f(x) = gelu(x W1 + b1) W2 + b2 (inner_mlp.h) with plain
 * steps, whole mini-batches in the dual form.
 *
 *     g2, g1 of the keys as in [E16]
 *     Z1b = Q W1 + b1 - M1 g1,   X2b = gelu(Z1b),   Z2b = X2b W2 + b2 - M2 g2
 *     O = Q + LN(Z2b)                                                      [E17]
 *
 * with M1, M2 and the steps of W1, b1, W2, b2 as in inner_dense.h.
 * Source: ttt-lm-pytorch cd831db ttt.py:1026-1170.
 *
 * 56 F^2 + 20 K F flops a token forward.
 */
#ifndef TTT_MLP_H
#define TTT_MLP_H

#include "src/kernels/inner.h"

extern const struct inner ttt_mlp;

#endif
