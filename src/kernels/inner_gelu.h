/* SPDX-License-Identifier: Apache-2.0 */
/* inner_gelu.h -- GELU of the inner loop, tanh form.
 *
 *     gelu(x) = x (1 + tanh(a x (1 + c x^2))) / 2,  a = sqrt(2 / pi), c = 0.044715     [E18]
 *     f(x)    = x (1 - t^2) (a' + d x^2) / 2 + (1 + t) / 2,  t = tanh(a' x (1 + c x^2))
 *               with a' = 0.79788456, d = 0.1070322243: the reference's gelu'          [E19]
 *
 * Computed with the logistic function: (1 + tanh u) / 2 = sigma(2 u), which keeps all digits where
 * tanh is near -1.  All that is needed at a point is made at once, since sigma is most of the work.
 */
#ifndef INNER_GELU_H
#define INNER_GELU_H

#include "src/base/real.h"

/* y = gelu(x). */
void inner_gelu(real *y, const real *x, int64_t n);

/* d = gelu'(x), the derivative of [E18]. */
void inner_gelu_derivative(real *y, real *d, const real *x, int64_t n);

/* f = f(x), and df = f'(x). */
void inner_gelu_slope(real *y, real *f, const real *x, int64_t n);
void inner_gelu_slope_derivatives(real *y, real *d, real *f, real *df, const real *x, int64_t n);

#endif
