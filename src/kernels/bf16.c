#include "src/kernels/bf16.h"

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

/* Up to 64 rows of B, of which n are there, K long: pair k of row i goes to (k, i).  Sixteen
 * pairs of every row at a time, so that what is written stays in the cache. */
CLONES
static void pair_columns(uint32_t *restrict panel, const real *restrict B, int ldb, int K, int n)
{
    enum { PAIRS = BF16_PAIR / 2 };
    const int inner = bf16_inner(K);
    for (int k0 = 0; k0 < inner; k0 += BF16_PAIR) {
        uint32_t *to = panel + (int64_t)k0 / 2 * BF16_PANEL;
        if (n < BF16_PANEL || k0 + BF16_PAIR > K)
            memset(to, 0, PAIRS * BF16_PANEL * sizeof *to);
        for (int i = 0; i < n; i++) {
            const real *row = B + (int64_t)i * ldb + k0;
            bf16 pairs[BF16_PAIR] = { 0 };
            const int left = K - k0 < BF16_PAIR ? K - k0 : BF16_PAIR;
            for (int k = 0; k < left; k++) pairs[k] = (bf16)bf16_bits(row[k]);
            for (int k = 0; k < PAIRS; k++)
                to[k * BF16_PANEL + i] = pairs[2 * k] | (uint32_t)pairs[2 * k + 1] << 16;
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

void bf16_strips(bf16 *to, const real *dY, int ldy, int K, int N)
{
    const int strips = (N + BF16_STRIP - 1) / BF16_STRIP, inner = bf16_inner(K);

    #pragma omp parallel for schedule(static)
    for (int k = 0; k < inner; k++)
        for (int s = 0; s < strips; s++) {
            bf16 *row = to + ((int64_t)s * inner + k) * BF16_STRIP;
            const int n0 = s * BF16_STRIP, n = N - n0 < BF16_STRIP ? N - n0 : BF16_STRIP;
            if (k < K) convert(row, dY + (int64_t)k * ldy + n0, n, BF16_STRIP);
            else memset(row, 0, BF16_STRIP * sizeof *row);
        }
}
