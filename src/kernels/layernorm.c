#include "src/kernels/layernorm.h"

#include <math.h>

#include "src/kernels/lanes.h"

CLONES
static void forward_row(real *y, real *mu, real *rstd, const real *x, const real *gamma,
                        const real *beta, int C, double eps)
{
    double mean, var;
    LANE_SUM(mean, c, C, (double)x[c]);
    mean /= C;
    LANE_SUM(var, c, C, ((double)x[c] - mean) * ((double)x[c] - mean));
    const real m = (real)mean, r = (real)(1.0 / sqrt(var / C + eps));        /* [E40] */
    #pragma omp simd
    for (int c = 0; c < C; c++) y[c] = vfma((x[c] - m) * r, gamma[c], beta[c]);  /* [E41] */
    *mu = m;
    *rstd = r;
}

void layernorm_forward(real *y, real *mu, real *rstd, const real *x, const real *gamma,
                       const real *beta, int N, int C, double eps)
{
    #pragma omp parallel for schedule(static) if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n = 0; n < N; n++) {
        const int64_t at = (int64_t)n * C;
        forward_row(y + at, mu + n, rstd + n, x + at, gamma, beta, C, eps);
    }
}

/* With g = dy gamma, [E40] and [E41] give
 *
 *     dx_nc    = rstd_n ( g_nc - mean_c g_nc - xhat_nc mean_c g_nc xhat_nc )    [E42]
 *     dgamma_c = sum_n dy_nc xhat_nc,   dbeta_c = sum_n dy_nc                   [E43]
 */
CLONES
static void backward_row(real *restrict dx, const real *dy, const real *x, real mu, real rstd,
                         const real *gamma, int C)
{
    double g, gx;
    LANE_SUM(g, c, C, (double)dy[c] * (double)gamma[c]);
    LANE_SUM(gx, c, C, (double)dy[c] * (double)gamma[c] * (double)(x[c] - mu));
    const real a = (real)(-g / C), b = (real)(-gx / C * rstd * rstd);
    for (int c = 0; c < C; c++)
        dx[c] = rstd * vfma(b, x[c] - mu, vfma(dy[c], gamma[c], a));             /* [E42] */
}

CLONES
static void backward_strip(real *restrict dgamma, real *restrict dbeta, const real *dy,
                           const real *x, const real *mu, const real *rstd, int n0, int n1,
                           int C, int columns)
{
    double by_x[STRIP] = { 0 }, plain[STRIP] = { 0 };
    for (int n = n0; n < n1; ) {
        real group_x[STRIP] = { 0 }, group[STRIP] = { 0 };
        for (const int end = at_most(n + GROUP_ROWS, n1); n < end; n++) {
            const real *dy_n = dy + (int64_t)n * C, *x_n = x + (int64_t)n * C;
            const real m = mu[n], r = rstd[n];
            for (int c = 0; c < columns; c++) {
                group_x[c] = vfma(dy_n[c], (x_n[c] - m) * r, group_x[c]);
                group[c] += dy_n[c];
            }
        }
        for (int c = 0; c < columns; c++) {
            by_x[c] += (double)group_x[c];
            plain[c] += (double)group[c];
        }
    }
    for (int c = 0; c < columns; c++) {                                          /* [E43] */
        dgamma[c] += (real)by_x[c];
        dbeta[c] += (real)plain[c];
    }
}

void layernorm_backward(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x,
                        const real *mu, const real *rstd, const real *gamma, int N, int C)
{
    const int strip = strip_columns(C);
    #pragma omp parallel if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n0 = 0; n0 < N; n0 += CHUNK_ROWS) {
        const int n1 = at_most(n0 + CHUNK_ROWS, N);
        #pragma omp for schedule(static) nowait
        for (int n = n0; n < n1; n++) {
            const int64_t at = (int64_t)n * C;
            backward_row(dx + at, dy + at, x + at, mu[n], rstd[n], gamma, C);
        }
        #pragma omp for schedule(static) nowait  /* a strip stays with its thread */
        for (int c = 0; c < C; c += strip)
            backward_strip(dgamma + c, dbeta + c, dy + c, x + c, mu, rstd, n0, n1, C,
                           at_most(C - c, strip));
    }
}
