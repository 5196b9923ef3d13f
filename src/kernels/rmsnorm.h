/* SPDX-License-Identifier: Apache-2.0 */
/* rmsnorm.h -- root-mean-square normalisation of rows.
 *
 *     r_n  = 1 / sqrt( mean_c x_nc^2 + eps )                          [E1]
 *     y_nc = w_c x_nc r_n                                             [E2]
 *
 * N rows, C channels, row-major.  Sums in double, in fixed lanes; threads share
 * out rows (columns in the sum over rows), so their number changes no bit.
 */
#ifndef RMSNORM_H
#define RMSNORM_H

#include "src/kernels/bf16.h"

/* y (N,C) = [E2], r (N) = [E1], from x (N,C) and w (C).  r is for the backward pass.  y may be x
 * when no backward pass follows.  Local; threads inside.  4 NC flops, 2 NC reals moved. */
void rmsnorm_forward(real *y, real *r, const real *x, const real *w, int N, int C, double eps);

/* The same with y as rows of bf16, for a y that only products will read. */
void rmsnorm_rows(bf16 *y, real *r, const real *x, const real *w, int N, int C, double eps);

/* dx (N,C), dw (C) += d loss/d(x, w), given dy (N,C) and the forward's x, w, r.  dx must not
 * overlap dy or x.  Sums over rows: 16 at a time as reals, these in double.  Local; threads inside.
 * 11 NC flops, 4 NC reals moved, and dy and x once more from the cache. */
void rmsnorm_backward(real *dx, real *dw, const real *dy, const real *x, const real *w,
                      const real *r, int N, int C);

#endif
