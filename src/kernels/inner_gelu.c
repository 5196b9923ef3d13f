/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_gelu.h"

#include "src/kernels/vecmath.h"

#define ROOT ((real)0.79788456080286535588)  /* sqrt(2 / pi) */
#define CUBE ((real)0.044715)
#define A ((real)0.79788456)                 /* the reference's own digits */
#define D ((real)0.1070322243)

#define LOG2E ((real)1.44269504088896340736)

/* s = sigma(2u) = 1 / (1 + e) and 1 - s = e s without loss of digits, e = 2^v,
 * v = -2 log2(e) u, u = a x (1 + c x^2); beyond 2^126 s stays.  As floats ROOT and A are equal, and
 * so is what follows. */
struct logistic { real s, rest; };

INLINE struct logistic logistic(real x, real a)
{
    const real k = -2 * LOG2E * a, v = x * vfma(k * CUBE, x * x, k);
    const real e = vexp2(v > 126 ? 126 : v), s = 1 / (1 + e);
    return (struct logistic){ s, e * s };
}

/* x (1 - t^2) (a + d x^2) / 2 + (1 + t) / 2 with t = 2 s - 1. */
INLINE real slope(real x, struct logistic l, real a, real d)
{
    return vfma(x * (l.s * l.rest), vfma(2 * d, x * x, 2 * a), l.s);
}

/* f'(x) with p = 1 - t^2 = 4 s (1 - s), q = a' + d x^2, u' = a' (1 + 3 c x^2):
 *     p (q + u') / 2 + x p (d x - t u' q) */
INLINE real slope_derivative(real x, struct logistic l)
{
    const real t = vfma(2, l.s, -1), p = 4 * (l.s * l.rest);
    const real q = vfma(D, x * x, A), du = vfma(3 * A * CUBE, x * x, A);
    return p * vfma(-x * t, du * q, vfma(D, x * x, (real)0.5 * (q + du)));
}

CLONES
void inner_gelu(real *restrict y, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * logistic(x[i], ROOT).s;
}

CLONES
void inner_gelu_derivative(real *restrict y, real *restrict d, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real z = x[i];
        const struct logistic l = logistic(z, ROOT);
        y[i] = z * l.s;
        d[i] = slope(z, l, ROOT, 3 * ROOT * CUBE);
    }
}

CLONES
void inner_gelu_slope(real *restrict y, real *restrict f, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real z = x[i];
        y[i] = z * logistic(z, ROOT).s;
        f[i] = slope(z, logistic(z, A), A, D);
    }
}

CLONES
void inner_gelu_slope_derivatives(real *restrict y, real *restrict d, real *restrict f,
                               real *restrict df, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real z = x[i];
        const struct logistic l = logistic(z, ROOT), r = logistic(z, A);
        y[i] = z * l.s;
        d[i] = slope(z, l, ROOT, 3 * ROOT * CUBE);
        f[i] = slope(z, r, A, D);
        df[i] = slope_derivative(z, r);
    }
}
