/* SPDX-License-Identifier: Apache-2.0 */
/* linear.h -- y = x W' with W (M,C), and its backward, unit by unit.
 *
 * The place where a product's precision is decided: fp32 operands, or bf16 ones if the call has
 * them for this weight (param/bf16_weights.h).  Sums are fp32 in both.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include "src/layers/layer.h"

/* What a product reads: reals (N,C), or rows as it takes them (kernels/bf16.h); one is NULL. */
struct operand { const real *x; const bf16 *rows; };

static inline struct operand reals(const real *x) { return (struct operand){ .x = x }; }

/* --- arrays that only products read ---
 *
 * In calls with bf16 products they are made as rows: half of the bytes, and what the products see
 * is the same to the bit.  Not in generation, which rounds nothing.  All weights that
 * read one need a bf16 form (struct param.product). */

/* Bytes of such an array (N,C), for calls with fewer tokens too. */
static inline int64_t operand_bytes(const struct layer_call *c, int C)
{
    const int64_t N = (int64_t)c->B * c->T, rows = c->bf16 && !c->decode;
    const int64_t as_reals = (rows ? c->B : N) * C * (int64_t)sizeof(real);
    const int64_t as_rows = rows * bf16_rows_size(N, C) * (int64_t)sizeof(bf16);
    return as_reals > as_rows ? as_reals : as_rows;
}

/* Where its rows are made; NULL: it has reals. */
static inline bf16 *operand_rows(const struct layer_call *c, real *v)
{
    return c->bf16 && !c->decode ? (bf16 *)(void *)v : NULL;
}

/* The array, to be read. */
static inline struct operand operand_of(const struct layer_call *c, real *v)
{
    const bf16 *rows = operand_rows(c, v);
    return (struct operand){ .x = rows ? NULL : v, .rows = rows };
}

/* y (N,M) = x (N,C) W', W (M,C) being parameter k of the call: its first dimension is M.  Local;
 * threads inside; dies if the parameter is no product (struct param.product).  2 NMC flops. */
void linear_forward(const struct layer_call *c, int k, real *y, struct operand x);

/* The same for n parameters that read one x.  Its fp32 products share a parallel region, so that
 * threads wait for each other once. */
struct linear { int k; real *y; };
void linear_forward_each(const struct layer_call *c, const struct linear *y, int n,
                         struct operand x);

/* dx (N,C) = or, with `add`, += dy (N,M) W;  dW += dy' x, one contribution for each unit.  4 NMC
 * flops. */
void linear_backward(const struct layer_call *c, int k, real *dx, struct operand dy,
                     struct operand x, int add);

/* The same with rows [row, row + M) of the parameter; bf16 only if row and M are multiples of
 * 64. */
void linear_part_forward(const struct layer_call *c, int k, int row, int M, real *y,
                         struct operand x);
void linear_part_backward(const struct layer_call *c, int k, int row, int M, real *dx,
                          struct operand dy, struct operand x, int add);

/* y (N,M) += b, b (M) being parameter k of the call.  Always in fp32. */
void linear_bias(const struct layer_call *c, int k, real *y, int M);

/* db += the sum of rows of dy (N,M), one contribution for each unit.  sum: (M) reals to work in. */
void linear_bias_backward(const struct layer_call *c, int k, real *sum, const real *dy, int M);

/* Until the next linear_share() x does not change, so that calls with it may take what an earlier
 * one made of it, if no other x came between them. */
void linear_share(const struct layer_call *c, struct operand x);

#endif
