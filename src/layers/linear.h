/* linear.h -- y = x W' with W (M,C), and its backward, unit by unit.
 *
 * The place where a product's precision is decided: fp32 operands, or bf16 ones if the call has
 * them for this weight (param/half.h).  Sums are fp32 in both.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include "src/layers/layer.h"

/* y (N,M) = x (N,C) W', W being parameter k of the call. */
void linear_forward(const struct layer_call *c, int k, real *y, const real *x, int M, int C);

/* dx (N,C) =|+= dy (N,M) W;  dW += dy' x, one contribution for each unit. */
void linear_backward(const struct layer_call *c, int k, real *dx, const real *dy, const real *x,
                     int M, int C, int add);

/* The same with rows [row, row + M) of the parameter; bf16 only if row and M are multiples of 64. */
void linear_rows_forward(const struct layer_call *c, int k, int row, real *y, const real *x, int M,
                         int C);
void linear_rows_backward(const struct layer_call *c, int k, int row, real *dx, const real *dy,
                          const real *x, int M, int C, int add);

/* The next forward calls all have this x, which does not change: it is rounded once.  Until any
 * other linear call. */
void linear_share(const struct layer_call *c, const real *x);

#endif
