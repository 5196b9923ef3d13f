/* inner_ln.h -- LayerNorm of the inner loop, row by row: forward, the gradient
 * of the inner loss through it, and the derivative of that gradient.
 *
 *     s = sqrt(var + eps),  h = (z - mean) / s,  LN(z) = gamma h + beta   [E20]
 *
 * Rows are short (F = 32..128) and stay in L1.  Sums run in 16 fixed lanes.
 */
#ifndef INNER_LN_H
#define INNER_LN_H

#include "src/base/real.h"

/* h (r,F), s (r) from z (r,F). */
void inner_ln(real *h, real *s, const real *z, int r, int F, real eps);

/* g = d/dz 1/2 |gamma h + beta - t|^2 with t = v - x, or v without a residual:
 *     e = gamma h + beta - t,  p = gamma e,
 *     g = (p - mean(p) - h mean(p h)) / s                             [E21]
 * loss += sum over rows of 1/2 |e|^2 unless NULL. */
void inner_ln_grad(real *g, const real *h, const real *s, const real *v, const real *x,
                   const real *gamma, const real *beta, int r, int F, int residual, double *loss);

/* Plain backward of y = gamma h + beta: dz (set), dgamma, dbeta +=. */
void inner_ln_backward(real *dz, real *dgamma, real *dbeta, const real *dy, const real *h,
                       const real *s, const real *gamma, int r, int F);

/* Backward of inner_ln_grad and of inner_ln below it: given dg, the gradient of
 * z (set), and += for gamma, beta, v, x.
 *     dp = (dg - mean(dg) - h mean(dg h)) / s
 *     dh = -(dg mean(p h) + p mean(dg h)) / s + de gamma,  de = dp gamma
 *     ds = -sum(dg g) / s
 *     dz = (dh - mean(dh) - h mean(dh h)) / s + ds h / F              [E22]
 *     dgamma += dp e + de h, dbeta += de, dv -= de, dx += de (with a residual) */
void inner_ln_grad_backward(real *dz, real *dgamma, real *dbeta, real *dv, real *dx,
                            const real *dg, const real *g, const real *h, const real *s,
                            const real *v, const real *x, const real *gamma, const real *beta,
                            int r, int F, int residual);

#endif
