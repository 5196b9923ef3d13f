/* SPDX-License-Identifier: Apache-2.0 */
/* act.h -- gates: elementwise products with a smooth step.
 *
 *     sigma(z) = 1 / (1 + e^-z),  silu(a) = a sigma(a)
 *     gelu_tanh(g) = g/2 (1 + tanh u) = g sigma(2u),  u = sqrt(2/pi) (g + 0.044715 g^3)
 *
 * The form with sigma keeps all digits where tanh is near -1.  n elements each.  Element i of an
 * output depends only on element i of the inputs, so an output may *be* any input of its call: the
 * same address, and no other overlap.  Local; threads share out elements.  All are bound by memory.
 *
 * A function called _rows makes a result that only products will read, in mixed precision: its
 * arrays are (N,C), and the result is rows of bf16 (bf16.h), which may not overlap an input.
 */
#ifndef ACT_H
#define ACT_H

#include "src/kernels/bf16.h"

/* y = silu(a) b.  3 n reals moved. */
void swiglu_forward(real *y, const real *a, const real *b, int64_t n);
void swiglu_forward_rows(bf16 *y, const real *a, const real *b, int N, int C);

/* da, db = d loss/d(a, b), given dy and the inputs of swiglu_forward().  5 n reals moved. */
void swiglu_backward(real *da, real *db, const real *dy, const real *a, const real *b, int64_t n);
void swiglu_backward_rows(bf16 *da, bf16 *db, const real *dy, const real *a, const real *b, int N,
                          int C);

/* y = x gelu_tanh(g).  3 n reals moved. */
void gelu_gate_forward(real *y, const real *x, const real *g, int64_t n);
void gelu_gate_forward_rows(bf16 *y, const real *x, const real *g, int N, int C);

/* dx, dg = d loss/d(x, g), given dy and the inputs of gelu_gate_forward().  5 n reals moved. */
void gelu_gate_backward(real *dx, real *dg, const real *dy, const real *x, const real *g,
                        int64_t n);
void gelu_gate_backward_rows(real *dx, bf16 *dg, const real *dy, const real *x, const real *g,
                             int N, int C);

/* y = silu(a).  2 n reals moved. */
void silu_forward(real *y, const real *a, int64_t n);

/* da = d loss/da, given dy.  3 n reals moved. */
void silu_backward(real *da, const real *dy, const real *a, int64_t n);

/* y += x.  3 n reals moved. */
void vec_add(real *y, const real *x, int64_t n);

#endif
