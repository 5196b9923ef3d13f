/* SPDX-License-Identifier: Apache-2.0 */
/* inner_ln.h -- LayerNorm of the inner loop, row by row: forward, the gradient of the inner loss
 * through it, and the derivative of that gradient.
 *
 *     s = sqrt(var + eps),  h = (z - mean) / s,  LN(z) = gamma h + beta   [E20]
 *
 * Rows are short (F = 32..128) and stay in L1.  Sums run in 16 fixed lanes.  Everything is Local.
 */
#ifndef INNER_LN_H
#define INNER_LN_H

#include "src/base/real.h"

/* Normalised rows, and what they are compared with.  No two arrays of a call overlap: without
 * `restrict` the backward does not vectorise. */
struct inner_ln_rows {
    const real *restrict h, *restrict s;         /* (r,F), (r) from inner_ln()              */
    const real *restrict gamma, *restrict beta;  /* (F)                                     */
    const real *restrict v, *restrict x;         /* (r,F) values and keys                   */
    int r, F;
    int residual;    /* 0/1 the target is v - x, not v                                      */
    int dot;         /* 0/1 the loss is a dot product, not a squared distance               */
};

/* Gradients, each += : dgamma, dbeta (F), dv, dx (r,F). */
struct inner_ln_grads { real *restrict dgamma, *restrict dbeta, *restrict dv, *restrict dx; };

/* h (r,F), s (r) [out] from z (r,F). */
void inner_ln(real *h, real *s, const real *z, int r, int F, real eps);

/* g (r,F) [out] = d loss / dz.  With the target t,
 *
 *     regression  loss = 1/2 |e|^2, e = LN(z) - t      dot product  loss = -<LN(z), v>, e = -v
 *     p = gamma e,  g = (p - mean(p) - h mean(p h)) / s                             [E21]
 *
 * loss += the sum of the rows' losses, unless NULL. */
void inner_ln_grad(real *g, const struct inner_ln_rows *n, double *loss);

/* Plain backward of y = gamma h + beta: dz [out], dgamma and dbeta of o += . */
void inner_ln_backward(real *dz, const struct inner_ln_grads *o, const real *dy,
                       const struct inner_ln_rows *n);

/* Backward of inner_ln_grad and of inner_ln below it: from dg (r,F), the gradient of g, that of z
 * in dz [out], and o += .  The inner gradient g depends on z in three ways (through h in e, through
 * h in the projection, and through s), hence the three terms:
 *
 *     dp = (dg - mean(dg) - h mean(dg h)) / s
 *     dh = -(dg mean(p h) + p mean(dg h)) / s + de gamma,  de = dp gamma
 *     ds = -sum(dg g) / s
 *     dz = (dh - mean(dh) - h mean(dh h)) / s + ds h / F                            [E22]
 *     dgamma += dp e + de h, dbeta += de, dv -= de, dx += de (with a residual)
 *
 * With a dot product e is -v and nothing else: the terms with de in dh, dgamma, dbeta and dx are
 * not there. */
void inner_ln_grad_backward(real *dz, const struct inner_ln_grads *o, const real *dg,
                            const real *g, const struct inner_ln_rows *n);

#endif
