#include "src/kernels/bf16.h"

#include "src/kernels/turn.h"

CLONES
static void convert(bf16 *restrict to, const real *restrict x, int n, int padded)
{
    for (int i = 0; i < n; i++) to[i] = (bf16)bf16_bits(x[i]);
    for (int i = n; i < padded; i++) to[i] = 0;
}

void bf16_rows(bf16 *to, const real *x, int ldx, int N, int K)
{
    const int ld = bf16_inner(K);
    #pragma omp parallel for schedule(static)
    for (int n = 0; n < N; n++) convert(to + (int64_t)n * ld, x + (int64_t)n * ldx, K, ld);
    memset(to + (int64_t)N * ld, 0, (size_t)(BF16_ROOM * ld) * sizeof *to);
}

/* Two rows of n <= 64 columns, the second may be missing, become a row of pairs. */
CLONES
static void pair_rows(uint32_t *restrict to, const real *restrict a, const real *restrict b, int n)
{
    if (b) for (int i = 0; i < n; i++) to[i] = bf16_bits(a[i]) | bf16_bits(b[i]) << 16;
    else for (int i = 0; i < n; i++) to[i] = bf16_bits(a[i]);
    for (int i = n; i < BF16_PANEL; i++) to[i] = 0;
}

void bf16_panels(bf16 *to, const real *B, int ldb, int K, int N)
{
    const int panels = bf16_columns(N) / BF16_PANEL, pairs = bf16_inner(K) / 2;

    #pragma omp parallel for schedule(static)
    for (int p = 0; p < panels; p++) {
        uint32_t *panel = (uint32_t *)(void *)to + (int64_t)p * pairs * BF16_PANEL;
        const int n0 = p * BF16_PANEL, n = N - n0 < BF16_PANEL ? N - n0 : BF16_PANEL;
        const int whole = (K + 1) / 2;
        for (int k = 0; k < whole; k++) {
            const real *a = B + (int64_t)2 * k * ldb + n0;
            pair_rows(panel + k * BF16_PANEL, a, 2 * k + 1 < K ? a + ldb : NULL, n);
        }
        memset(panel + whole * BF16_PANEL, 0,
               (size_t)((pairs - whole) * BF16_PANEL) * sizeof *panel);
    }
}

/* Up to 64 rows of B, of which n are there, K long: pair k of row i goes to (k, i).  Sixteen rows
 * and sixteen pairs at a time, so that whole lines are read and written. */
CLONES
static void pair_columns(uint32_t *restrict panel, const real *restrict B, int ldb, int K, int n)
{
    for (int k0 = 0; k0 < K; k0 += BF16_PAIR) {
        const int left = K - k0 < BF16_PAIR ? K - k0 : BF16_PAIR;
        for (int i0 = 0; i0 < BF16_PANEL; i0 += TURN_SIDE) {
            turn_row r[TURN_SIDE] = { 0 };
            for (int i = 0; i < TURN_SIDE && i0 + i < n; i++) {
                const real *row = B + (int64_t)(i0 + i) * ldb + k0;
                bf16 pairs[BF16_PAIR] = { 0 };
                for (int k = 0; k < left; k++) pairs[k] = (bf16)bf16_bits(row[k]);
                memcpy(&r[i], pairs, sizeof r[i]);
            }
            turn_block(r);
            for (int k = 0; k < TURN_SIDE; k++)
                memcpy(panel + (int64_t)(k0 / 2 + k) * BF16_PANEL + i0, &r[k], sizeof r[k]);
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

/* Rows [k0, k0 + 32) of x, of which `rows` are there, as 32 elements of each of n <= 16 columns. */
CLONES
static void turn_pairs(bf16 *restrict to, int64_t ld, const real *restrict x, int ldx, int rows,
                       int n)
{
    turn_row r[TURN_SIDE] = { 0 };
    for (int i = 0; 2 * i < rows; i++) {
        const real *a = x + (int64_t)2 * i * ldx, *b = a + ldx;
        uint32_t pairs[TURN_SIDE] = { 0 };
        if (n == TURN_SIDE && 2 * i + 1 < rows)
            for (int k = 0; k < TURN_SIDE; k++) pairs[k] = bf16_bits(a[k]) | bf16_bits(b[k]) << 16;
        else
            for (int k = 0; k < n; k++)
                pairs[k] = bf16_bits(a[k]) | (2 * i + 1 < rows ? bf16_bits(b[k]) << 16 : 0);
        memcpy(&r[i], pairs, sizeof r[i]);
    }
    turn_block(r);
    for (int k = 0; k < n; k++) memcpy(to + k * ld, &r[k], sizeof r[k]);
}

void bf16_turned(bf16 *to, const real *x, int ldx, int K, int N)
{
    enum { ROWS = 4 * BF16_PAIR };  /* of x at a time, so that a line is read for a line written */
    const int64_t ld = bf16_inner(K);

    #pragma omp parallel for schedule(static)
    for (int first = 0; first < K; first += ROWS)
        for (int n = 0; n < N; n += TURN_SIDE)
            for (int k = first; k < K && k < first + ROWS; k += BF16_PAIR)
                turn_pairs(to + n * ld + k, ld, x + (int64_t)k * ldx + n, ldx,
                           K - k < BF16_PAIR ? K - k : BF16_PAIR,
                           N - n < TURN_SIDE ? N - n : TURN_SIDE);
    memset(to + N * ld, 0, (size_t)(BF16_ROOM * ld) * sizeof *to);
}
