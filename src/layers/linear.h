/* linear.h -- y = x W' with W (M,C), and its backward, unit by unit.
 *
 * The place where a product's precision is decided: fp32 operands, or bf16 ones if the call has
 * them for this weight (param/half.h).  Sums are fp32 in both.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include "src/layers/layer.h"

/* What a product reads: reals (N,C), or rows as it takes them (kernels/bf16.h); one is NULL. */
struct operand { const real *x; const bf16 *rows; };

static inline struct operand whole(const real *x) { return (struct operand){ .x = x }; }

/* An array that only products read is made as rows in calls with bf16 products: half of the bytes,
 * and what the product sees is the same to the bit.  Not of a token alone, which is never rounded.
 *
 * operand_bytes: of such an array (N,C), for calls with fewer tokens too
 * operand_rows:  where its rows are, or NULL if it has reals
 * operand_of:    the array as it is read                                                      */
static inline int64_t operand_bytes(const struct layer_call *c, int C)
{
    const int64_t N = (int64_t)c->B * c->T, reals = (c->half ? c->B : N) * C;
    const int64_t rows = c->half ? bf16_rows_size(N, C) : 0;
    const int64_t a = reals * (int64_t)sizeof(real), b = rows * (int64_t)sizeof(bf16);
    return a > b ? a : b;
}

static inline bf16 *operand_rows(const struct layer_call *c, real *v)
{
    return c->half && c->T > 1 ? (bf16 *)(void *)v : NULL;
}

static inline struct operand operand_of(const struct layer_call *c, real *v)
{
    const bf16 *rows = operand_rows(c, v);
    return (struct operand){ .x = rows ? NULL : v, .rows = rows };
}

/* y (N,M) = x (N,C) W', W being parameter k of the call. */
void linear_forward(const struct layer_call *c, int k, real *y, struct operand x, int M, int C);

/* dx (N,C) =|+= dy (N,M) W;  dW += dy' x, one contribution for each unit. */
void linear_backward(const struct layer_call *c, int k, real *dx, struct operand dy,
                     struct operand x, int M, int C, int add);

/* The same with rows [row, row + M) of the parameter; bf16 only if row and M are multiples of
 * 64. */
void linear_rows_forward(const struct layer_call *c, int k, int row, real *y, struct operand x,
                         int M, int C);
void linear_rows_backward(const struct layer_call *c, int k, int row, real *dx, struct operand dy,
                          struct operand x, int M, int C, int add);

/* The next calls, all forward or all backward, have this x, which does not change: it is rounded
 * once.  Until a bf16 product with another x. */
void linear_share(const struct layer_call *c, struct operand x);

#endif
