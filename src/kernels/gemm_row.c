/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm.h"
#include "src/kernels/vecmath.h"

#define ROWS 32   /* of B, a thread's share */
#define LANES 16

/* y[j] = x . B_j for n rows.  Sums are taken in lanes, so the order is fixed by this text. */
CLONES
static void row_dots(real *restrict y, const real *restrict x, const real *restrict B, int n, int K)
{
    for (int j = 0; j < n; j++) {
        const real *b = B + (int64_t)j * K;
        real lane[4][LANES] = { { 0 } }, rest = 0;
        int k = 0;
        for (; k + 4 * LANES <= K; k += 4 * LANES)
            for (int q = 0; q < 4; q++)
                for (int i = 0; i < LANES; i++)
                    lane[q][i] += x[k + q * LANES + i] * b[k + q * LANES + i];
        for (; k < K; k++) rest += x[k] * b[k];
        for (int i = 0; i < LANES; i++)
            lane[0][i] = (lane[0][i] + lane[1][i]) + (lane[2][i] + lane[3][i]);
        for (int h = LANES / 2; h > 0; h /= 2)
            for (int i = 0; i < h; i++) lane[0][i] += lane[0][i + h];
        y[j] = lane[0][0] + rest;
    }
}

void gemm_row(real *y, const real *x, const real *B, int M, int K)
{
    #pragma omp parallel for schedule(static)
    for (int m = 0; m < M; m += ROWS)
        row_dots(y + m, x, B + (int64_t)m * K, M - m < ROWS ? M - m : ROWS, K);
}
