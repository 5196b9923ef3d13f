/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/bf16.h"

#include "src/kernels/transpose.h"

CLONES
static void convert(bf16 *restrict to, const real *restrict x, int n, int zeros)
{
    for (int i = 0; i < n; i++) to[i] = (bf16)bf16_bits(x[i]);
    for (int i = n; i < n + zeros; i++) to[i] = 0;
}

void bf16_put(bf16 *to, const real *x, int n, int zeros) { convert(to, x, n, zeros); }

void bf16_rows(bf16 *to, const real *x, int ldx, int N, int K)
{
    const int ld = bf16_inner(K);
    #pragma omp parallel for schedule(static)
    for (int n = 0; n < N; n++) convert(to + (int64_t)n * ld, x + (int64_t)n * ldx, K, ld - K);
}

/* Two rows of n <= 64 columns become a row of pairs; the second row may be NULL: zeros. */
CLONES
static void pair_rows(uint32_t *restrict to, const real *restrict a, const real *restrict b, int n)
{
    if (b) for (int i = 0; i < n; i++) to[i] = bf16_bits(a[i]) | bf16_bits(b[i]) << 16;
    else for (int i = 0; i < n; i++) to[i] = bf16_bits(a[i]);
    for (int i = n; i < BF16_PANEL; i++) to[i] = 0;
}

/* The same from rows that are in bf16 already. */
CLONES
static void join_rows(uint32_t *restrict to, const bf16 *restrict a, const bf16 *restrict b, int n)
{
    if (b) for (int i = 0; i < n; i++) to[i] = a[i] | (uint32_t)b[i] << 16;
    else for (int i = 0; i < n; i++) to[i] = a[i];
    for (int i = n; i < BF16_PANEL; i++) to[i] = 0;
}

/* Panels of x (K,N), or of rows, with ld elements from row to row. */
static void make_panels(bf16 *to, const real *x, const bf16 *rows, int ld, int K, int N)
{
    const int panels = bf16_columns(N) / BF16_PANEL, pairs = bf16_inner(K) / 2;

    #pragma omp parallel for schedule(static)
    for (int p = 0; p < panels; p++) {
        uint32_t *panel = (uint32_t *)(void *)to + (int64_t)p * pairs * BF16_PANEL;
        const int n0 = p * BF16_PANEL, n = N - n0 < BF16_PANEL ? N - n0 : BF16_PANEL;
        const int there = (K + 1) / 2;
        for (int k = 0; k < there; k++) {
            const int64_t a = (int64_t)2 * k * ld + n0, b = a + ld;
            const int both = 2 * k + 1 < K;
            if (rows) join_rows(panel + k * BF16_PANEL, rows + a, both ? rows + b : NULL, n);
            else pair_rows(panel + k * BF16_PANEL, x + a, both ? x + b : NULL, n);
        }
        memset(panel + there * BF16_PANEL, 0,
               (size_t)((pairs - there) * BF16_PANEL) * sizeof *panel);
    }
}

void bf16_panels(bf16 *to, const real *B, int ldb, int K, int N)
{
    make_panels(to, B, NULL, ldb, K, N);
}

void bf16_panels_of_rows(bf16 *to, const bf16 *x, int K, int N)
{
    make_panels(to, NULL, x, bf16_inner(N), K, N);
}

/* Pairs are transposed in blocks of so many, which are as many columns, and twice as many of K. */
enum { SIDE = TRANSPOSE_SIDE, ALONG = 2 * TRANSPOSE_SIDE };

/* What of `each` is left of n. */
static int at_most(int n, int each) { return n < 0 ? 0 : n < each ? n : each; }

/* Up to 64 rows of B, of which n are there, K long: pair k of row i goes to (k, i). */
CLONES
static void pair_columns(uint32_t *restrict panel, const real *restrict B, int ldb, int K, int n)
{
    for (int k0 = 0; k0 < K; k0 += BF16_PAIR)
        for (int i0 = 0; i0 < BF16_PANEL; i0 += SIDE) {
            const int left = at_most(K - k0, BF16_PAIR);
            bf16 pairs[SIDE][BF16_PAIR] = { 0 };
            for (int i = 0; i < SIDE && i0 + i < n; i++) {
                const real *row = B + (int64_t)(i0 + i) * ldb + k0;
                for (int k = 0; k < left; k++) pairs[i][k] = (bf16)bf16_bits(row[k]);
            }
            for (int k1 = 0; k1 < BF16_PAIR; k1 += ALONG) {
                uint32_t *to = panel + (int64_t)(k0 + k1) / 2 * BF16_PANEL + i0;
                transpose_row r[SIDE];
                for (int i = 0; i < SIDE; i++) memcpy(&r[i], pairs[i] + k1, sizeof r[i]);
                transpose_registers(r);
                for (int k = 0; k < SIDE; k++) memcpy(to + k * BF16_PANEL, &r[k], sizeof r[k]);
            }
        }
}

void bf16_panels_transposed(bf16 *to, const real *B, int ldb, int K, int N)
{
    const int panels = bf16_columns(N) / BF16_PANEL, pairs = bf16_inner(K) / 2;

    #pragma omp parallel for schedule(static)
    for (int p = 0; p < panels; p++) {
        const int n0 = p * BF16_PANEL;
        pair_columns((uint32_t *)(void *)to + (int64_t)p * pairs * BF16_PANEL,
                     B + (int64_t)n0 * ldb, ldb, K, N - n0 < BF16_PANEL ? N - n0 : BF16_PANEL);
    }
}

/* `rows` <= 16 rows of x as 16 elements of each of n <= 8 columns; 8 columns can be read. */
CLONES
static void transpose_pairs(bf16 *restrict to, int64_t ld, const bf16 *restrict x, int64_t ldx,
                            int rows, int n)
{
    transpose_row r[SIDE] = { 0 };
    for (int i = 0; 2 * i < rows; i++) {
        const bf16 *a = x + 2 * i * ldx, *b = a + ldx;
        uint32_t pairs[SIDE];
        if (2 * i + 1 < rows)
            for (int k = 0; k < SIDE; k++) pairs[k] = a[k] | (uint32_t)b[k] << 16;
        else
            for (int k = 0; k < SIDE; k++) pairs[k] = a[k];
        memcpy(&r[i], pairs, sizeof r[i]);
    }
    transpose_registers(r);
    for (int k = 0; k < n; k++) memcpy(to + k * ld, &r[k], sizeof r[k]);
}

void bf16_transposed(bf16 *to, const bf16 *x, int K, int N)
{
    enum { ROWS = 4 * BF16_PAIR };  /* of x at a time, so that a line is read for a line written */
    const int64_t ld = bf16_inner(K), ldx = bf16_inner(N);

    #pragma omp parallel for schedule(static)
    for (int first = 0; first < K; first += ROWS)
        for (int n = 0; n < N; n += SIDE)
            for (int k = first; k < ld && k < first + ROWS; k += ALONG)
                transpose_pairs(to + n * ld + k, ld, x + k * ldx + n, ldx, at_most(K - k, ALONG),
                                at_most(N - n, SIDE));
}
