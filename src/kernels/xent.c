/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/xent.h"

#include <math.h>
#include <string.h>

#include "src/kernels/lanes.h"

#define BLOCK 512  /* exponentials between two additions to a row's sum */

/* NaN is passed over; it comes back in the sum of exponentials. */
CLONES
static real row_max(const real *x, int n)
{
    real lane[2 * LANES], m = -INFINITY;
    const int whole = n / (2 * LANES) * (2 * LANES);
    for (int k = 0; k < 2 * LANES; k++) lane[k] = -INFINITY;
    for (int b = 0; b < whole; b += 2 * LANES)
        for (int k = 0; k < 2 * LANES; k++) lane[k] = x[b + k] > lane[k] ? x[b + k] : lane[k];
    for (int i = whole; i < n; i++) m = x[i] > m ? x[i] : m;
    for (int k = 0; k < 2 * LANES; k++) m = lane[k] > m ? lane[k] : m;
    return m;
}

/* e = exp(x - m), returns its sum; e may be x. */
CLONES
static double exp_sum(real *e, const real *x, real m, int n)
{
    double sum;
    #pragma omp simd
    for (int i = 0; i < n; i++) e[i] = vexp(x[i] - m);
    LANE_SUM(sum, i, n, (double)e[i]);
    return sum;
}

CLONES
static void multiply(real *x, real a, int n)
{
    for (int i = 0; i < n; i++) x[i] *= a;
}

static double forward_row(const real *x, int target, int V)
{
    _Alignas(ALIGN_BYTES) real e[BLOCK];
    const real m = row_max(x, V);
    double sum = 0;

    for (int v = 0; v < V; v += BLOCK) sum += exp_sum(e, x + v, m, V - v < BLOCK ? V - v : BLOCK);
    return log(sum) + ((double)m - (double)x[target]);                            /* [E47] */
}

void xent_forward(double *nll, const real *logits, const int32_t *target, int N, int V)
{
    #pragma omp parallel for schedule(static) if ((int64_t)N * V >= PARALLEL_MIN)
    for (int n = 0; n < N; n++)
        nll[n] = target[n] < 0 ? 0 : forward_row(logits + (int64_t)n * V, target[n], V);
}

/* The same blocks as forward_row(), so the same nll to the last bit. */
static double gradient_row(real *x, int target, real scale, int V)
{
    const real m = row_max(x, V), l = x[target];
    double sum = 0;

    for (int v = 0; v < V; v += BLOCK)
        sum += exp_sum(x + v, x + v, m, V - v < BLOCK ? V - v : BLOCK);
    multiply(x, (real)(scale / sum), V);
    x[target] -= scale;
    return log(sum) + ((double)m - (double)l);
}

void xent_grad(real *logits, double *nll, const int32_t *target, const real *scale, int N,
               int V)
{
    #pragma omp parallel for schedule(static) if ((int64_t)N * V >= PARALLEL_MIN)
    for (int n = 0; n < N; n++) {
        real *x = logits + (int64_t)n * V;
        if (target[n] >= 0) {
            nll[n] = gradient_row(x, target[n], scale[n], V);
        } else {
            nll[n] = 0;
            memset(x, 0, (size_t)V * sizeof *x);
        }
    }
}
