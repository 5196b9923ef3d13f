/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_vec.h"

#include <string.h>

void inner_zero(real *y, int64_t n) { memset(y, 0, (size_t)n * sizeof *y); }

CLONES
void inner_add(real *restrict y, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

CLONES
void inner_step_by(real *y, const real *x, real c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] -= c * x[i];
}

CLONES
void inner_times(real *restrict z, const real *restrict x, const real *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) z[i] = x[i] * y[i];
}

CLONES
void inner_times_both(real *restrict z, real *restrict w, const real *restrict x,
                      const real *restrict y, const real *restrict v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        z[i] = x[i] * y[i];
        w[i] = x[i] * v[i];
    }
}

CLONES
void inner_add_times(real *restrict z, const real *restrict x, const real *restrict y,
                     int64_t n)
{
    for (int64_t i = 0; i < n; i++) z[i] += x[i] * y[i];
}
