/* layernorm.h -- layer normalisation of rows.
 *
 *     mu_n = mean_c x_nc,  rstd_n = 1 / sqrt( mean_c (x_nc - mu_n)^2 + eps )   [E40]
 *     xhat = (x - mu) rstd,  y_nc = gamma_c xhat_nc + beta_c                   [E41]
 *
 * Two passes over a row in double, so |mu| >> sigma costs no digits; the variance is
 * the biased one.
 * N rows, C channels, row-major.  Threads share out rows (columns in the
 * sums over rows), so their number changes no bit.
 */
#ifndef LAYERNORM_H
#define LAYERNORM_H

#include "src/base/real.h"

/* y (N,C), mu (N), rstd (N) = from x (N,C), gamma (C), beta (C); mu and rstd are
 * kept for the backward pass.  y may be x when none follows.  8 NC flops, 2 NC reals
 * moved. */
void layernorm_forward(real *y, real *mu, real *rstd, const real *x, const real *gamma,
                       const real *beta, int N, int C, double eps);

/* dx (N,C) =, dgamma (C), dbeta (C) += d loss/d(x, gamma, beta), given dy (N,C)
 * and the forward's x, mu, rstd, gamma.  dx must not overlap dy or x.
 * 16 NC flops, 3 NC reals moved, and dy and x once more from the cache. */
void layernorm_backward(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x,
                        const real *mu, const real *rstd, const real *gamma, int N, int C);

#endif
