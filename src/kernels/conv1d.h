/* SPDX-License-Identifier: Apache-2.0 */
/* conv1d.h -- causal depthwise convolution over time, cut anywhere.
 *
 *          halo                x                    rows before the slice, then the slice
 *     | -W+1 ... -1 | 0  1  2  ...  T-1 |           row-major, C channels
 *
 *     y_tc = b_c + sum_k w_ck x_(t-W+1+k),c         tap W-1 meets the current token   [E44]
 *
 * Every output is one chain of W fused multiply-adds, so a sequence cut into slices gives the same
 * bits as the whole.  The last W-1 rows of a slice are the next slice's halo; the gradient of the
 * halo comes back the other way:
 *
 *     forward : conv1d_forward(y, slice);  conv1d_halo(halo, x)
 *     backward: conv1d_backward(grad, dy, slice);  conv1d_halo_backward(dx, dhalo, dhalo_next)
 *
 * Threads share out outputs, so their number changes no bit.
 */
#ifndef CONV1D_H
#define CONV1D_H

#include "src/base/real.h"

#define CONV_MAX_WIDTH 64  /* 1 <= W <= this */

/* A slice of one sequence, and the filters. */
struct conv1d {
    int         T, C, W;
    const real *x;           /* (T,C)                           */
    const real *halo;        /* (W-1,C): rows before the slice  */
    const real *w, *b;       /* (C,W), (C); backward needs no b */
};

/* d loss/d(x, halo, w, b). */
struct conv1d_grad {
    real *dx, *dhalo;        /* (T,C), (W-1,C) =; dhalo is what this slice's outputs contribute */
    real *dw, *db;           /* (C,W), (C) +=                                                   */
};

/* y (T,C) = [E44].  y must not overlap an input.  Local; threads inside.  2 TCW flops, 2 TC reals
 * moved. */
void conv1d_forward(real *y, const struct conv1d *s);

/* halo (W-1,C) [in,out]: the last W-1 rows of halo followed by x, also when T < W-1.  Local. */
void conv1d_halo(real *halo, const real *x, int T, int C, int W);

/* The gradient g, given dy (T,C), which must not overlap dx or dhalo.  Sums over rows: 16 at a time
 * as reals, these in double.  Local; threads inside.  4 TCW flops, 3 TC reals moved, and dy once
 * more from the cache. */
void conv1d_backward(const struct conv1d_grad *g, const real *dy, const struct conv1d *s);

/* The adjoint of conv1d_halo(): dhalo_next (W-1,C), the gradient of the halo after the slice, is
 * added to the last rows of dx (T,C) and, when T < W-1, to those rows of dhalo_prev (W-1,C) that
 * stayed in the halo.  dhalo_next may be dhalo_prev only if T >= W-1.  Local. */
void conv1d_halo_backward(real *dx, real *dhalo_prev, const real *dhalo_next, int T, int C,
                          int W);

#endif
