/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm_micro.h"

#include <string.h>

#include "src/kernels/gemm_micro_x86.h"
#include "src/kernels/vecmath.h"

enum { ROWS = 4, COLUMNS = 16 };

INLINE void tile(real *restrict C, int64_t ldc, struct gemm_micro_rows a, const real *restrict b,
                 int K, int add, int rows)
{
    real c[ROWS][COLUMNS] = { { 0 } };
    for (int k = 0; k < K; k++)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < COLUMNS; j++)
                c[i][j] = vfma(a.at[i * a.down + k * a.along], b[k * COLUMNS + j], c[i][j]);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < COLUMNS; j++)
            C[i * ldc + j] = add ? C[i * ldc + j] + c[i][j] : c[i][j];
}

/* With a constant number of rows. */
INLINE void rows(real *C, int64_t ldc, struct gemm_micro_rows a, const real *b, int K, int add,
                 int n)
{
    switch (n) {
    case 1: tile(C, ldc, a, b, K, add, 1); break;
    case 2: tile(C, ldc, a, b, K, add, 2); break;
    case 3: tile(C, ldc, a, b, K, add, 3); break;
    default: tile(C, ldc, a, b, K, add, ROWS);
    }
}

CLONES
static void along(real *C, int64_t ldc, const real *a, const real *b, int K, int add, int n)
{
    rows(C, ldc, (struct gemm_micro_rows){ a, GEMM_MICRO_ROW, 1 }, b, K, add, n);
}

CLONES
static void across(real *C, int64_t ldc, const real *a, const real *b, int K, int add, int n)
{
    rows(C, ldc, (struct gemm_micro_rows){ a, 1, ROWS }, b, K, add, n);
}

#define TILES(n)                                                                              \
    static void along_##n(real *C, int64_t ldc, const real *a, const real *b, int K, int add, \
                          const real *next)                                                   \
    { (void)next, along(C, ldc, a, b, K, add, n); }                                           \
    static void across_##n(real *C, int64_t ldc, const real *a, const real *b, int K, int add, \
                           const real *next)                                                  \
    { (void)next, across(C, ldc, a, b, K, add, n); }

TILES(1) TILES(2) TILES(3) TILES(4)

static const struct gemm_micro plain = {
    .rows = ROWS, .columns = COLUMNS, .move = ROWS,
    .f = { [GEMM_ALONG] = { along_1, along_2, along_3, along_4 },
           [GEMM_ACROSS] = { across_1, across_2, across_3, across_4 } },
};

const struct gemm_micro *gemm_micro(enum isa isa)
{
    const struct gemm_micro *m = gemm_micro_x86(isa);
    return m ? m : &plain;
}
