/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/bias.h"

#include "src/kernels/lanes.h"

CLONES
static void add_row(real *restrict y, const real *restrict b, int M)
{
    for (int m = 0; m < M; m++) y[m] += b[m];
}

void bias_forward(real *y, const real *b, int N, int M)
{
    #pragma omp parallel for schedule(static) if ((int64_t)N * M >= PARALLEL_MIN)
    for (int n = 0; n < N; n++) add_row(y + (int64_t)n * M, b, M);
}

/* Columns of a strip, all rows. */
CLONES
static void sum_strip(real *restrict db, const real *restrict dy, int N, int M, int columns)
{
    double sum[STRIP] = { 0 };
    for (int n = 0; n < N; ) {
        real group[STRIP] = { 0 };
        for (const int end = at_most(n + GROUP_ROWS, N); n < end; n++)
            for (int m = 0; m < columns; m++) group[m] += dy[(int64_t)n * M + m];
        for (int m = 0; m < columns; m++) sum[m] += (double)group[m];
    }
    for (int m = 0; m < columns; m++) db[m] = (real)sum[m];
}

void bias_backward(real *db, const real *dy, int N, int M)
{
    const int strip = strip_columns(M);
    #pragma omp parallel for schedule(static) if ((int64_t)N * M >= PARALLEL_MIN)
    for (int m = 0; m < M; m += strip) sum_strip(db + m, dy + m, N, M, at_most(M - m, strip));
}
