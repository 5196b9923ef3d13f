/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/layernorm.h"

#include <math.h>

#include "src/kernels/lanes.h"

CLONES
static void forward_row(real *y, const struct layernorm *l, int n)
{
    const int C = l->C;
    const real *x = l->x + (int64_t)n * C, *gamma = l->gamma, *beta = l->beta;
    double mean, var;
    LANE_SUM(mean, c, C, (double)x[c]);
    mean /= C;
    LANE_SUM(var, c, C, ((double)x[c] - mean) * ((double)x[c] - mean));
    const real m = (real)mean, r = (real)(1.0 / sqrt(var / C + l->eps));     /* [E40] */
    #pragma omp simd
    for (int c = 0; c < C; c++) y[c] = vfma((x[c] - m) * r, gamma[c], beta[c]);  /* [E41] */
    l->mu[n] = m;
    l->rstd[n] = r;
}

void layernorm_forward(real *y, const struct layernorm *l)
{
    #pragma omp parallel for schedule(static) if ((int64_t)l->N * l->C >= PARALLEL_MIN)
    for (int n = 0; n < l->N; n++) forward_row(y + (int64_t)n * l->C, l, n);
}

/* With g = dy gamma, [E40] and [E41] give
 *
 *     dx_nc    = rstd_n ( g_nc - mean_c g_nc - xhat_nc mean_c g_nc xhat_nc )    [E42]
 *     dgamma_c = sum_n dy_nc xhat_nc,   dbeta_c = sum_n dy_nc                   [E43]
 */
CLONES
static void backward_row(real *restrict dx, const real *dy, const struct layernorm *l, int n)
{
    const int C = l->C;
    const real *x = l->x + (int64_t)n * C, *gamma = l->gamma, mu = l->mu[n], rstd = l->rstd[n];
    double g, gx;
    LANE_SUM(g, c, C, (double)dy[c] * (double)gamma[c]);
    LANE_SUM(gx, c, C, (double)dy[c] * (double)gamma[c] * (double)(x[c] - mu));
    const real a = (real)(-g / C), b = (real)(-gx / C * rstd * rstd);
    for (int c = 0; c < C; c++)
        dx[c] = rstd * vfma(b, x[c] - mu, vfma(dy[c], gamma[c], a));             /* [E42] */
}

/* What rows [n0, n1) add to columns [c0, c0 + columns). */
CLONES
static void backward_strip(const struct layernorm_grad *g, const real *dy,
                           const struct layernorm *l, int n0, int n1, int c0, int columns)
{
    real *restrict dgamma = g->dgamma + c0, *restrict dbeta = g->dbeta + c0;
    double by_x[STRIP] = { 0 }, plain[STRIP] = { 0 };
    for (int n = n0; n < n1; ) {
        real group_x[STRIP] = { 0 }, group[STRIP] = { 0 };
        for (const int end = at_most(n + GROUP_ROWS, n1); n < end; n++) {
            const int64_t at = (int64_t)n * l->C + c0;
            const real *dy_n = dy + at, *x_n = l->x + at, m = l->mu[n], r = l->rstd[n];
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

void layernorm_backward(const struct layernorm_grad *g, const real *dy, const struct layernorm *l)
{
    const int N = l->N, C = l->C, strip = strip_columns(C);
    #pragma omp parallel if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n0 = 0; n0 < N; n0 += CHUNK_ROWS) {
        const int n1 = at_most(n0 + CHUNK_ROWS, N);
        #pragma omp for schedule(static) nowait
        for (int n = n0; n < n1; n++)
            backward_row(g->dx + (int64_t)n * C, dy + (int64_t)n * C, l, n);
        #pragma omp for schedule(static) nowait  /* a strip stays with its thread */
        for (int c = 0; c < C; c += strip)
            backward_strip(g, dy, l, n0, n1, c, at_most(C - c, strip));
    }
}
