/* inner_gelu.h -- GELU of the inner loop, tanh form.
 *
 *     gelu(x) = x (1 + tanh(a x (1 + c x^2))) / 2,  a = sqrt(2 / pi), c = 0.044715     [E18]
 *     f(x)    = x (1 - t^2) (a' + d x^2) / 2 + (1 + t) / 2,  t = tanh(a' x (1 + c x^2))
 *               with a' = 0.79788456, d = 0.1070322243: the reference's gelu'          [E19]
 */
#ifndef INNER_GELU_H
#define INNER_GELU_H

#include "src/base/real.h"

/* y = gelu(x). */
void inner_gelu(real *y, const real *x, int64_t n);

/* g *= f(x):  [E16]. */
void inner_gelu_slope(real *g, const real *x, int64_t n);

/* dx += dy gelu'(x), the derivative of [E18]. */
void inner_gelu_backward(real *dx, const real *dy, const real *x, int64_t n);

/* Of g = a f(x), with a given: da = dg f(x) (set), dx += dg a f'(x). */
void inner_gelu_slope_backward(real *da, real *dx, const real *dg, const real *a, const real *x,
                               int64_t n);

#endif
