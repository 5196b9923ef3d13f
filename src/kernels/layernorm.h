/* SPDX-License-Identifier: Apache-2.0 */
/* layernorm.h -- layer normalisation of rows.
 *
 *     mu_n = mean_c x_nc,  rstd_n = 1 / sqrt( mean_c (x_nc - mu_n)^2 + eps )   [E40]
 *     xhat = (x - mu) rstd,  y_nc = gamma_c xhat_nc + beta_c                   [E41]
 *
 * Two passes over a row in double, so |mu| >> sigma costs no digits; the variance is the biased
 * one.
 * N rows, C channels, row-major.  Threads share out rows (columns in the sums over rows), so their
 * number changes no bit.
 */
#ifndef LAYERNORM_H
#define LAYERNORM_H

#include "src/base/real.h"

struct layernorm {
    int         N, C;
    const real *x;               /* (N,C)                                          */
    const real *gamma, *beta;    /* (C); backward needs no beta                    */
    double      eps;             /* > 0; not for backward                          */
    real       *mu, *rstd;       /* (N): forward sets them, backward reads them    */
};

/* d loss/d(x, gamma, beta). */
struct layernorm_grad {
    real *dx;                    /* (N,C) =   */
    real *dgamma, *dbeta;        /* (C) +=    */
};

/* y (N,C) = [E41], mu, rstd = [E40].  y may be x when no backward pass follows.  Local; threads
 * inside.  8 NC flops, 2 NC reals moved. */
void layernorm_forward(real *y, const struct layernorm *l);

/* The gradient g, given dy (N,C); dx must not overlap dy or x.  Sums over rows: 16 at a time as
 * reals, these in double.  Local; threads inside.  16 NC flops, 3 NC reals moved, and dy and x once
 * more from the cache. */
void layernorm_backward(const struct layernorm_grad *g, const real *dy, const struct layernorm *l);

#endif
