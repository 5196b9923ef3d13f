/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/smm_bf16.h"

#include <string.h>

#include "src/kernels/bf16.h"
#include "src/kernels/isa.h"
#include "src/kernels/smm.h"
#include "src/kernels/smm_bf16_tiles.h"
#include "src/kernels/unroll.h"
#include "src/kernels/vecmath.h"

/* --- plain C --------------------------------------------------------------- */

INLINE bf16_word word(real low, real high) { return bf16_bits(low) | bf16_bits(high) << 16; }

CLONES
static void rows_ref(bf16_word *restrict to, const real *restrict x, int M, int K)
{
    const int words = bf16_words(K);
    for (int m = 0; m < M; m++)
        for (int k = 0; k < words; k++) {
            const real *at = x + (int64_t)m * K + 2 * k;
            to[(int64_t)m * words + k] = word(at[0], 2 * k + 1 < K ? at[1] : 0);
        }
}

CLONES
static void columns_ref(bf16_word *restrict to, const real *restrict x, int K, int N)
{
    for (int k = 0; k < K; k += 2) {
        const real *low = x + (int64_t)k * N, *high = low + N;
        bf16_word *row = to + (int64_t)k / 2 * N;
        if (k + 1 < K) for (int n = 0; n < N; n++) row[n] = word(low[n], high[n]);
        else for (int n = 0; n < N; n++) row[n] = word(low[n], 0);
    }
}

/* B is taken apart in blocks of these, each for all rows of A, four at a time. */
enum { WORDS = 128, COLUMNS = 16, ROWS = 4 };

/* c += the product of `words` words of each of the ROWS rows of A and a block of B. */
INLINE void block(real c[ROWS][COLUMNS], real b[][COLUMNS], const bf16_word *const a[ROWS],
                  int64_t along, int words)
{
    for (int k = 0; k < words; k++)
        for (int i = 0; i < ROWS; i++) {
            const bf16_word w = a[i][k * along];
            const real low = bf16_value((bf16)w), high = bf16_value((bf16)(w >> 16));
            for (int n = 0; n < COLUMNS; n++)
                c[i][n] += low * b[2 * k][n] + high * b[2 * k + 1][n];
        }
}

CLONES
void smm_bf16_ref(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
                  int K)
{
    const int all = bf16_words(K);
    real b[2 * WORDS][COLUMNS], c[ROWS][COLUMNS];

    for (int n0 = 0; n0 < N; n0 += COLUMNS)
        for (int k0 = 0; k0 < all; k0 += WORDS) {
            const int columns = N - n0 < COLUMNS ? N - n0 : COLUMNS;
            const int words = all - k0 < WORDS ? all - k0 : WORDS;
            const real *before = k0 ? C : from;
            for (int k = 0; k < words; k++)
                for (int n = 0; n < COLUMNS; n++) {
                    const bf16_word w = n < columns ? B[(int64_t)(k0 + k) * N + n0 + n] : 0;
                    b[2 * k][n] = bf16_value((bf16)w);
                    b[2 * k + 1][n] = bf16_value((bf16)(w >> 16));
                }
            for (int m = 0; m < M; m += ROWS) {
                const int rows = M - m < ROWS ? M - m : ROWS;
                const bf16_word *a[ROWS];
                for (int i = 0; i < ROWS; i++) {
                    a[i] = A.w + (m + (i < rows ? i : 0)) * A.down + k0 * A.along;
                    for (int n = 0; n < COLUMNS; n++)
                        c[i][n] = before && i < rows && n < columns ?
                                  before[(int64_t)(m + i) * N + n0 + n] : 0;
                }
                block(c, b, a, A.along, words);
                for (int i = 0; i < rows; i++)
                    memcpy(C + (int64_t)(m + i) * N + n0, c[i], (size_t)columns * sizeof *C);
            }
        }
}

/* --- AVX512_BF16 ------------------------------------------------------------ */

#if defined(__x86_64__) && !defined(TTT_F64)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define TILE TARGET static inline __attribute__((always_inline)) void
enum { LANES = 16 };

static int has_tiles(void) { return isa_best() >= ISA_AMX; }
static int has_instruction(void) { return isa_has(ISA_AVX512_BF16); }

/* The first n of 16. */
static __mmask16 mask(int n)
{
    return n >= LANES ? 0xffff : n <= 0 ? 0 : (__mmask16)((1 << n) - 1);
}

/* 32 numbers from x, of which n are there, as words. */
TARGET
static __m512i words_of(const float *x, int n)
{
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(mask(n - LANES), x + LANES),
                                        _mm512_maskz_loadu_ps(mask(n), x));
}

TARGET
static void rows_fast(bf16_word *to, const float *x, int M, int K)
{
    if (K % 2 == 0) K *= M, M = 1;  /* nothing between the rows */
    for (int m = 0; m < M; m++) {
        bf16_word *row = to + (int64_t)m * bf16_words(K);
        for (int k = 0; k < K; k += 2 * LANES)
            _mm512_mask_storeu_epi32(row + k / 2, mask(bf16_words(K - k)),
                                     words_of(x + (int64_t)m * K + k, K - k));
    }
}

/* Numbers 0, 16, 1, 17, ... of 32: two vectors of 16, one after the other, become words. */
static const uint16_t zip[2 * LANES] = {
    0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31,
};

TARGET
static void columns_fast(bf16_word *to, const float *x, int K, int N)
{
    const __m512i order = _mm512_loadu_si512(zip);
    for (int k = 0; k < K; k += 2)
        for (int n = 0; n < N; n += LANES) {
            const __mmask16 there = mask(N - n);
            const float *at = x + (int64_t)k * N + n;
            const __m512 low = _mm512_maskz_loadu_ps(there, at);
            const __m512 high = _mm512_maskz_loadu_ps(k + 1 < K ? there : 0, at + N);
            const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
            _mm512_mask_storeu_epi32(to + (int64_t)k / 2 * N + n, there,
                                     _mm512_permutexvar_epi16(order, both));
        }
}

/* For even K and N a multiple of 32, where x is read once. */
TARGET
static void both_fast(bf16_word *rows, bf16_word *columns, const float *x, int K, int N)
{
    const __m512i order = _mm512_loadu_si512(zip);
    for (int k = 0; k < K; k += 2)
        for (int n = 0; n < N; n += 2 * LANES) {
            const float *at = x + (int64_t)k * N + n;
            const __m512 a = _mm512_loadu_ps(at), b = _mm512_loadu_ps(at + LANES);
            const __m512 c = _mm512_loadu_ps(at + N), d = _mm512_loadu_ps(at + N + LANES);
            bf16_word *row = rows + ((int64_t)k * N + n) / 2;
            bf16_word *column = columns + (int64_t)k / 2 * N + n;
            _mm512_storeu_si512(row, (__m512i)_mm512_cvtne2ps_pbh(b, a));
            _mm512_storeu_si512(row + N / 2, (__m512i)_mm512_cvtne2ps_pbh(d, c));
            _mm512_storeu_si512(column, _mm512_permutexvar_epi16(
                                            order, (__m512i)_mm512_cvtne2ps_pbh(c, a)));
            _mm512_storeu_si512(column + LANES, _mm512_permutexvar_epi16(
                                                    order, (__m512i)_mm512_cvtne2ps_pbh(d, b)));
        }
}

/* A strip of columns: its words of B, N from one row to the next as in C.  Of its last vector only
 * the columns `there` are. */
struct strip { const bf16_word *B; int N, words; __mmask16 there; };

/* `tall` rows of `wide` vectors of C, which stay in registers.  Both are constants where this is
 * inlined, and the structs, passed by value, become registers. */
TILE tile(float *C, const float *from, struct bf16_left A, struct strip s, int tall, int wide)
{
    __m512 c[LANES][4];
    UNROLL(16)
    for (int i = 0; i < tall; i++)
        UNROLL(4)
        for (int j = 0; j < wide; j++)
            c[i][j] = from ? _mm512_maskz_loadu_ps(j + 1 < wide ? 0xffff : s.there,
                                                   from + (int64_t)i * s.N + j * LANES)
                           : _mm512_setzero_ps();
    for (int k = 0; k < s.words; k++) {
        __m512bh b[4];
        UNROLL(4)
        for (int j = 0; j < wide; j++)
            b[j] = (__m512bh)_mm512_maskz_loadu_epi32(j + 1 < wide ? 0xffff : s.there,
                                                      s.B + (int64_t)k * s.N + j * LANES);
        UNROLL(16)
        for (int i = 0; i < tall; i++) {
            const __m512bh a = (__m512bh)_mm512_set1_epi32((int)A.w[i * A.down + k * A.along]);
            UNROLL(4)
            for (int j = 0; j < wide; j++) c[i][j] = _mm512_dpbf16_ps(c[i][j], a, b[j]);
        }
    }
    UNROLL(16)
    for (int i = 0; i < tall; i++)
        UNROLL(4)
        for (int j = 0; j < wide; j++)
            _mm512_mask_storeu_ps(C + (int64_t)i * s.N + j * LANES,
                                  j + 1 < wide ? 0xffff : s.there, c[i][j]);
}

/* All M rows of a strip of C.  `many` rows of `wide` vectors fill the registers. */
TILE strip(float *C, const float *from, struct bf16_left A, struct strip s, int M, int many,
           int wide)
{
    int m = 0;
    for (; m + many <= M; m += many) {
        const struct bf16_left rows = { A.w + m * A.down, A.down, A.along };
        tile(C + (int64_t)m * s.N, from ? from + (int64_t)m * s.N : NULL, rows, s, many, wide);
    }
    for (; m < M; m++) {
        const struct bf16_left row = { A.w + m * A.down, A.down, A.along };
        tile(C + (int64_t)m * s.N, from ? from + (int64_t)m * s.N : NULL, row, s, 1, wide);
    }
}

TARGET
static void product_fast(float *C, const float *from, struct bf16_left A, const bf16_word *B, int M,
                         int N, int K)
{
    const int words = bf16_words(K);
    int n = 0;
    for (; n + 4 * LANES <= N; n += 4 * LANES)
        strip(C + n, from ? from + n : NULL, A, (struct strip){ B + n, N, words, 0xffff }, M, 4, 4);
    for (; n < N; n += LANES)
        strip(C + n, from ? from + n : NULL, A, (struct strip){ B + n, N, words, mask(N - n) }, M,
              16, 1);
}

#else

static int has_tiles(void) { return 0; }
static int has_instruction(void) { return 0; }
#define rows_fast(to, x, M, K) ((void)0)
#define columns_fast(to, x, K, N) ((void)0)
#define both_fast(rows, columns, x, K, N) ((void)0)
#define product_fast(C, from, A, B, M, N, K) ((void)0)

#endif

/* --- one or the other ------------------------------------------------------- */

void smm_bf16_rows(bf16_word *to, const real *x, int M, int K)
{
    if (has_instruction()) rows_fast(to, x, M, K);
    else rows_ref(to, x, M, K);
}

void smm_bf16_columns(bf16_word *to, const real *x, int K, int N)
{
    if (has_instruction()) columns_fast(to, x, K, N);
    else columns_ref(to, x, K, N);
}

void smm_bf16_both(bf16_word *rows, bf16_word *columns, const real *x, int K, int N)
{
    if (has_instruction() && K % 2 == 0 && N % 32 == 0) {
        both_fast(rows, columns, x, K, N);
        return;
    }
    smm_bf16_rows(rows, x, K, N);
    smm_bf16_columns(columns, x, K, N);
}

void smm_bf16_columns_transposed(bf16_word *to, const real *x, int N, int K, bf16_word *work)
{
    smm_bf16_rows(work, x, N, K);
#ifdef TTT_F64
    const int words = bf16_words(K);
    for (int k = 0; k < words; k++)
        for (int n = 0; n < N; n++) to[(int64_t)k * N + n] = work[(int64_t)n * words + k];
#else
    /* Words have the size of floats, and only move. */
    smm_transpose((float *)(void *)to, (const float *)(const void *)work, N, bf16_words(K));
#endif
}

void smm_bf16(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
              int K)
{
    if (has_tiles()) smm_bf16_tiles(C, from, A, B, M, N, K);
    else if (has_instruction()) product_fast(C, from, A, B, M, N, K);
    else smm_bf16_ref(C, from, A, B, M, N, K);
}
