/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm_bf16_panel.h"

#include "src/base/status.h"
#include "src/kernels/unroll.h"

#if defined(__x86_64__) && !defined(TTT_F64)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
enum { LANES = 16, VECTORS = BF16_PANEL / LANES, ROWS = 6 };   /* 24 sums, 4 + 1 operands */

/* A longer sum is continued from C in a further call, so that what a call reads of B stays in the
 * cache. */
#define CALL_WORDS 1024

/* `rows` rows of `words` pairs each, `lda` pairs apart. */
TARGET static inline __attribute__((always_inline)) void
tile(real *C, int64_t ldc, const uint32_t *a, int64_t lda, const uint32_t *b, int words, int add,
     int rows)
{
    __m512 c[ROWS][VECTORS];
    UNROLL(6)
    for (int i = 0; i < rows; i++)
        UNROLL(4)
        for (int j = 0; j < VECTORS; j++)
            c[i][j] = add ? _mm512_loadu_ps(C + i * ldc + j * LANES) : _mm512_setzero_ps();
    for (int k = 0; k < words; k++) {
        __m512bh panel[VECTORS];
        UNROLL(4)
        for (int j = 0; j < VECTORS; j++)
            panel[j] = (__m512bh)_mm512_loadu_si512(b + (int64_t)k * BF16_PANEL + j * LANES);
        UNROLL(6)
        for (int i = 0; i < rows; i++) {
            const __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[i * lda + k]);
            UNROLL(4)
            for (int j = 0; j < VECTORS; j++) c[i][j] = _mm512_dpbf16_ps(c[i][j], x, panel[j]);
        }
    }
    UNROLL(6)
    for (int i = 0; i < rows; i++)
        UNROLL(4)
        for (int j = 0; j < VECTORS; j++) _mm512_storeu_ps(C + i * ldc + j * LANES, c[i][j]);
}

#define TILE(n)                                                                             \
    TARGET static void tile_##n(real *C, int64_t ldc, const uint32_t *a, int64_t lda,       \
                                const uint32_t *b, int words, int add)                      \
    { tile(C, ldc, a, lda, b, words, add, n); }

TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)

void gemm_bf16_panel(real *C, int ldc, const bf16 *A, const bf16 *B, int n, int K, int add)
{
    static void (*const tiles[])(real *, int64_t, const uint32_t *, int64_t, const uint32_t *, int,
                                 int) = { tile_1, tile_2, tile_3, tile_4, tile_5, tile_6 };
    const uint32_t *a = (const void *)A, *b = (const void *)B;   /* pairs */
    const int words = K / 2, count = (n + ROWS - 1) / ROWS;

    for (int k = 0, w; k < words; k += w) {
        w = words - k < CALL_WORDS ? words - k : CALL_WORDS;
        for (int t = 0; t < count; t++) {
            const int i = n * t / count, rows = n * (t + 1) / count - i;
            tiles[rows - 1](C + (int64_t)i * ldc, ldc, a + (int64_t)i * words + k, words,
                            b + (int64_t)k * BF16_PANEL, w, add || k > 0);
        }
    }
}

#else

void gemm_bf16_panel(real *C, int ldc, const bf16 *A, const bf16 *B, int n, int K, int add)
{
    (void)C, (void)ldc, (void)A, (void)B, (void)n, (void)K, (void)add;
    check(!"this processor has the instruction");
}

#endif
