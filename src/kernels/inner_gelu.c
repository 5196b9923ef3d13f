#include "src/kernels/inner_gelu.h"

#include "src/kernels/vecmath.h"

#define ROOT ((real)0.79788456080286535588)  /* sqrt(2 / pi) */
#define CUBE ((real)0.044715)
#define A ((real)0.79788456)                 /* the reference's own digits */
#define D ((real)0.1070322243)

INLINE real slope(real x, real a, real d)
{
    const real t = vtanh(a * x * (1 + CUBE * x * x));
    return (real)0.5 * x * ((1 - t * t) * (a + d * x * x)) + (real)0.5 * (1 + t);
}

CLONES
void inner_gelu(real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (real)0.5 * x[i] * (1 + vtanh(ROOT * x[i] * (1 + CUBE * x[i] * x[i])));
}

CLONES
void inner_gelu_slope(real *g, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) g[i] *= slope(x[i], A, D);
}

CLONES
void inner_gelu_backward(real *dx, const real *dy, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * slope(x[i], ROOT, 3 * ROOT * CUBE);
}

/* f'(x) with p = 1 - t^2, q = a' + d x^2, u' = a' (1 + 3 c x^2):
 *     p q / 2 + x (-2 t p u' q + 2 p d x) / 2 + p u' / 2 */
CLONES
void inner_gelu_slope_backward(real *da, real *dx, const real *dg, const real *a, const real *x,
                               int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const real z = x[i], t = vtanh(A * z * (1 + CUBE * z * z));
        const real p = 1 - t * t, q = A + D * z * z, du = A * (1 + 3 * CUBE * z * z);
        const real f = (real)0.5 * z * (p * q) + (real)0.5 * (1 + t);
        const real df = (real)0.5 * (p * q + p * du) + z * (p * D * z - t * p * du * q);
        da[i] = dg[i] * f;
        dx[i] += dg[i] * a[i] * df;
    }
}
