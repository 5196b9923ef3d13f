/* conv1d.h -- causal depthwise convolution over time, cut anywhere.
 *
 *          halo                x                    rows before the slice, then the slice
 *     | -W+1 ... -1 | 0  1  2  ...  T-1 |           row-major, C channels
 *
 *     y_tc = b_c + sum_k w_ck x_(t-W+1+k),c         tap W-1 meets the current token   [E44]
 *
 * Every output is one chain of W fused multiply-adds, so a sequence cut into
 * slices gives the same bits as the whole.  The halo that a slice leaves
 * behind is the next slice's; the gradient of it comes back the other way:
 *
 *     forward : conv1d_forward(x, halo);  conv1d_halo(halo, x)
 *     backward: conv1d_backward(dx, dhalo_prev, dy);
 *               conv1d_halo_backward(dx, dhalo_prev, dhalo_next)
 *
 * Threads share out outputs, so their number changes no bit.
 */
#ifndef CONV1D_H
#define CONV1D_H

#include "src/base/real.h"

#define CONV_MAX_WIDTH 64  /* 1 <= W <= this */

/* y (T,C) = from x (T,C), halo (W-1,C), w (C,W), b (C).  y must not overlap an
 * input.  2 TCW flops, 2 TC reals moved. */
void conv1d_forward(real *y, const real *x, const real *halo, const real *w, const real *b,
                    int T, int C, int W);

/* halo (W-1,C) [in,out]: the last W-1 rows of halo followed by x, also when T < W-1. */
void conv1d_halo(real *halo, const real *x, int T, int C, int W);

/* dx (T,C) =, dhalo (W-1,C) =, dw (C,W) +=, db (C) +=  d loss/d(x, halo, w, b), given dy and
 * the forward's inputs.  dhalo is what this slice's outputs contribute; dx and dhalo must not
 * overlap dy.  4 TCW flops, 3 TC reals moved, and dy once more from the cache. */
void conv1d_backward(real *dx, real *dhalo, real *dw, real *db, const real *dy, const real *x,
                     const real *halo, const real *w, int T, int C, int W);

/* The adjoint of conv1d_halo(): dhalo_next (W-1,C), the gradient of the halo left behind, is
 * added to the last rows of dx (T,C) and, when T < W-1, to those rows of dhalo_prev (W-1,C) that
 * were handed on.  dhalo_next may be dhalo_prev only if T >= W-1. */
void conv1d_halo_backward(real *dx, real *dhalo_prev, const real *dhalo_next, int T, int C,
                          int W);

#endif
