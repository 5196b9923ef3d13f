/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/rmsnorm.h"

#include <math.h>

#include "src/kernels/lanes.h"

CLONES
static double sum_of_squares(const real *x, int C)
{
    double sum;
    LANE_SUM(sum, c, C, (double)x[c] * (double)x[c]);
    return sum;
}

CLONES
static void scale(real *y, const real *x, const real *w, real r, int C)
{
    #pragma omp simd
    for (int c = 0; c < C; c++) y[c] = w[c] * x[c] * r;                 /* [E2] */
}

static real row_scale(const real *x, int C, double eps)
{
    return (real)(1.0 / sqrt(sum_of_squares(x, C) / C + eps));          /* [E1] */
}

void rmsnorm_forward(real *y, real *r, const real *x, const real *w, int N, int C, double eps)
{
    #pragma omp parallel for schedule(static) if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n = 0; n < N; n++) {
        r[n] = row_scale(x + (int64_t)n * C, C, eps);
        scale(y + (int64_t)n * C, x + (int64_t)n * C, w, r[n], C);
    }
}

void rmsnorm_rows(bf16 *y, real *r, const real *x, const real *w, int N, int C, double eps)
{
    const int ld = bf16_inner(C);
    #pragma omp parallel for schedule(static) if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n = 0; n < N; n++) {
        const real *x_n = x + (int64_t)n * C;
        r[n] = row_scale(x_n, C, eps);
        for (int c = 0; c < C; c += STRIP) {
            real piece[STRIP];
            const int m = at_most(C - c, STRIP);
            scale(piece, x_n + c, w + c, r[n], m);
            bf16_put(y + (int64_t)n * ld + c, piece, m, c + m < C ? 0 : ld - C);
        }
    }
}

/* With s_n = sum_c w_c dy_nc x_nc, [E1] and [E2] give
 *
 *     dx_nc = r_n w_c dy_nc - x_nc r_n^3 s_n / C                      [E3]
 *     dw_c  = sum_n dy_nc x_nc r_n                                    [E4]
 *
 * The second term of [E3] is how x_nc moves r_n. */
CLONES
static void backward_row(real *restrict dx, const real *dy, const real *x, const real *w, real r,
                         int C)
{
    double s;
    LANE_SUM(s, c, C, (double)w[c] * (double)dy[c] * (double)x[c]);
    const real k = (real)(-s / C * r * r * r);
    for (int c = 0; c < C; c++) dx[c] = vfma(k, x[c], vfma(r * w[c], dy[c], dx[c]));  /* [E3] */
}

CLONES
static void backward_strip(real *restrict dw, const real *dy, const real *x, const real *r,
                           int n0, int n1, int C, int columns)
{
    double sum[STRIP] = { 0 };
    for (int n = n0; n < n1; ) {
        real group[STRIP] = { 0 };
        for (const int end = at_most(n + GROUP_ROWS, n1); n < end; n++) {
            const real *dy_n = dy + (int64_t)n * C, *x_n = x + (int64_t)n * C, r_n = r[n];
            for (int c = 0; c < columns; c++) group[c] = vfma(dy_n[c] * r_n, x_n[c], group[c]);
        }
        for (int c = 0; c < columns; c++) sum[c] += (double)group[c];
    }
    for (int c = 0; c < columns; c++) dw[c] += (real)sum[c];                          /* [E4] */
}

void rmsnorm_backward(real *dx, real *dw, const real *dy, const real *x, const real *w,
                      const real *r, int N, int C)
{
    const int strip = strip_columns(C);
    #pragma omp parallel if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n0 = 0; n0 < N; n0 += CHUNK_ROWS) {
        const int n1 = at_most(n0 + CHUNK_ROWS, N);
        #pragma omp for schedule(static) nowait
        for (int n = n0; n < n1; n++) {
            const int64_t at = (int64_t)n * C;
            backward_row(dx + at, dy + at, x + at, w, r[n], C);
        }
        #pragma omp for schedule(static) nowait  /* a strip stays with its thread */
        for (int c = 0; c < C; c += strip)
            backward_strip(dw + c, dy + c, x + c, r, n0, n1, C, at_most(C - c, strip));
    }
}
