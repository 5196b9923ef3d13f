/* linear.h -- y = x W' with W (M,C), and its backward, unit by unit.
 *
 * The place where a product's precision is decided: fp32 operands today; bf16
 * operands with packed weights enter here and nowhere else.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include "src/layers/layer.h"

/* y (N,M) = x (N,C) W', W being parameter k of the call. */
void linear_forward(const struct layer_call *c, int k, real *y, const real *x, int M, int C);

/* dx (N,C) =|+= dy (N,M) W;  dW += dy' x, one contribution for each unit. */
void linear_backward(const struct layer_call *c, int k, real *dx, const real *dy, const real *x,
                     int M, int C, int add);

/* The same with rows [row, row + M) of the parameter. */
void linear_rows_forward(const struct layer_call *c, int k, int row, real *y, const real *x, int M,
                         int C);
void linear_rows_backward(const struct layer_call *c, int k, int row, real *dx, const real *dy,
                          const real *x, int M, int C, int add);

#endif
