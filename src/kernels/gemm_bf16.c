/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm_bf16.h"

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/gemm_bf16_panel.h"
#include "src/kernels/gemm_bf16_tiles.h"
#include "src/kernels/isa.h"

#define TILE_ROWS 256
#define TILE_COLS 256

int gemm_bf16_native(void)
{
#ifdef TTT_F64
    return 0;
#else
    return isa_best() >= ISA_AVX512_BF16;
#endif
}

CLONES
static void put(real *restrict y, const real *restrict x, int n, int add)
{
    if (add) for (int i = 0; i < n; i++) y[i] += x[i];
    else for (int i = 0; i < n; i++) y[i] = x[i];
}

/* --- a tile: at most TILE_ROWS rows, TILE_COLS columns; ldc and panels_K are set ---- */

/* Numbers from one panel to the next. */
static int64_t apart(const struct gemm_bf16 *t)
{
    return (int64_t)bf16_inner(t->panels_K) * BF16_PANEL;
}

/* The panel of column m, a multiple of BF16_PANEL. */
static const bf16 *panel_of(const struct gemm_bf16 *t, int m)
{
    return t->panels + m / BF16_PANEL * apart(t) + (int64_t)t->k0 * BF16_PANEL;
}

/* With AVX512_BF16. */
static void by_panels(const struct gemm_bf16 *t)
{
    const int K = bf16_inner(t->K);
    for (int j = 0; j < t->M; j += BF16_PANEL) {
        const int wide = t->M - j < BF16_PANEL ? t->M - j : BF16_PANEL;
        real *C = t->C + j;
        if (wide == BF16_PANEL) {
            gemm_bf16_panel(C, t->ldc, t->rows, panel_of(t, j), t->N, K, t->add);
            continue;
        }
        _Alignas(ALIGN_BYTES) real own[TILE_ROWS * BF16_PANEL] = { 0 };
        if (t->add)
            for (int i = 0; i < t->N; i++)
                put(own + i * BF16_PANEL, C + (int64_t)i * t->ldc, wide, 0);
        gemm_bf16_panel(own, BF16_PANEL, t->rows, panel_of(t, j), t->N, K, t->add);
        for (int i = 0; i < t->N; i++) put(C + (int64_t)i * t->ldc, own + i * BF16_PANEL, wide, 0);
    }
}

int gemm_bf16_tile_columns(void)
{
    return gemm_bf16_native() && isa_best() < ISA_AMX ? BF16_PANEL : TILE_COLS;
}

static void tile(const struct gemm_bf16 *t)
{
    if (!gemm_bf16_native()) gemm_widened(t);
    else if (isa_best() >= ISA_AMX) gemm_bf16_tiles(t);
    else by_panels(t);
}

/* --- products ----------------------------------------------------------------- */

/* p with everything set that may be 0. */
static struct gemm_bf16 filled(const struct gemm_bf16 *p)
{
    struct gemm_bf16 q = *p;
    if (!q.ldc) q.ldc = q.M;
    if (!q.panels_K) q.panels_K = q.K;
    return q;
}

void gemm_bf16(const struct gemm_bf16 *product)
{
    const struct gemm_bf16 p = filled(product);
    const int rows = (p.N + TILE_ROWS - 1) / TILE_ROWS, cols = (p.M + TILE_COLS - 1) / TILE_COLS;
    const int K = bf16_inner(p.K), whole = K == bf16_inner(p.panels_K);

    check(p.k0 % BF16_PAIR == 0 && p.k0 + p.K <= p.panels_K && (whole || p.K % BF16_PAIR == 0));
    #pragma omp parallel for schedule(dynamic) collapse(2)
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < rows; r++) {
            const int n0 = r * TILE_ROWS, m0 = c * TILE_COLS;
            struct gemm_bf16 t = p;
            t.C += (int64_t)n0 * p.ldc + m0;
            t.rows += (int64_t)n0 * K;
            t.panels += m0 / BF16_PANEL * apart(&p);
            t.N = p.N - n0 < TILE_ROWS ? p.N - n0 : TILE_ROWS;
            t.M = p.M - m0 < TILE_COLS ? p.M - m0 : TILE_COLS;
            tile(&t);
        }
}

void gemm_bf16_tile(const struct gemm_bf16 *product)
{
    const struct gemm_bf16 p = filled(product);
    check(p.N <= TILE_ROWS && p.M <= TILE_COLS);
    tile(&p);
}

/* A panel's columns in 64 sums, in the order of k. */
CLONES
static void panel_row(real *restrict y, const real *restrict x, const uint32_t *restrict panel,
                      int K)
{
    real sum[BF16_PANEL] = { 0 };
    for (int k = 0; k < K / 2; k++)
        for (int i = 0; i < BF16_PANEL; i++) {
            const uint32_t pair = panel[k * BF16_PANEL + i], low = pair << 16,
                           high = pair & 0xffff0000;
            float a, b;
            memcpy(&a, &low, sizeof a);
            memcpy(&b, &high, sizeof b);
            sum[i] += x[2 * k] * (real)a + x[2 * k + 1] * (real)b;
        }
    memcpy(y, sum, sizeof sum);
}

void gemm_bf16_row(real *y, const real *x, const bf16 *B, int M, int K)
{
    const int inner = bf16_inner(K), panels = bf16_columns(M) / BF16_PANEL;
    real *padded = NULL;

    if (inner > K) {
        padded = mem_new(inner, sizeof *padded, "padded row");
        memcpy(padded, x, (size_t)K * sizeof *x);
        x = padded;
    }
    #pragma omp parallel for schedule(static)
    for (int p = 0; p < panels; p++) {
        _Alignas(ALIGN_BYTES) real sum[BF16_PANEL];
        const int m0 = p * BF16_PANEL, m = M - m0 < BF16_PANEL ? M - m0 : BF16_PANEL;
        panel_row(sum, x, (const uint32_t *)(const void *)(B + (int64_t)m0 * inner), inner);
        memcpy(y + m0, sum, (size_t)m * sizeof *y);
    }
    mem_free(padded);
}
