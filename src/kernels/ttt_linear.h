/* SPDX-License-Identifier: Apache-2.0 */
/* ttt_linear.h -- TTT-Linear: the inner model f(x) = x W + b (inner_linear.h) with plain steps,
 * whole mini-batches in the dual form.
 *
 *     Z  = X W + b                                     (r,F)          [E10]
 *     g  = d/dZ 1/2 |LN(Z) - (V - X)|^2                (r,F)          [E11]
 *     M  = lower(eta * (Q X' + 1))                     (r,r)          [E12]
 *     Zb = Q W + b - M g                               (r,F)          [E13]
 *     O  = Q + LN(Zb)                                  (r,F)          [E14]
 *     W' = W - (u * X)' g,  b' = b - u' g,  u_j = tok_{r-1} lr_j      [E15]
 *
 * lower() keeps the diagonal: a token sees its own gradient.  All gradients are
 * taken at the state before the mini-batch, which is what makes [E13] a pair
 * of products instead of r updates.  The state of a head is W (F,F), then b
 * (F).  Source: ttt-lm-pytorch cd831db ttt.py:940-1023; Sun et al. 2024, eq. (8).
 *
 * 6 r F^2 + 4 r^2 F flops forward.
 */
#ifndef TTT_LINEAR_H
#define TTT_LINEAR_H

#include "src/kernels/inner.h"

extern const struct inner ttt_linear;

#endif
