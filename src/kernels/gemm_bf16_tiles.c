/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm_bf16_tiles.h"

#include "src/base/status.h"
#include "src/kernels/amx.h"

#ifndef TTT_F64

/* A block is 32 rows and 32 columns of C, for at most MOST_STEPS x 32 of k: its rows of A then stay
 * in the L1 cache (32 KiB) while a block of B passes from the L2 cache. */
enum { SIDE = AMX_BLOCK, MOST_STEPS = 16, STEP = 2 * AMX_SIDE };

/* Rows that are a multiple of 2 KiB apart fall into few sets of the L1 cache, more than it has
 * places for.  They are copied to rows that are 17 lines apart, as are those of an edge. */
enum { CROWDED = 512, COPY_LD = (MOST_STEPS + 1) * AMX_SIDE };

/* The words of row 0, column 0 of a product's part from step k on, and from row to row. */
struct word_rows { const uint32_t *w; int64_t ld; };

static struct word_rows rows_of(const struct gemm_bf16 *p)
{
    return (struct word_rows){ (const void *)p->rows, bf16_inner(p->K) / 2 };
}

/* Column m, a multiple of 16. */
static struct word_rows panel_of(const struct gemm_bf16 *p, int m)
{
    const int64_t apart = (int64_t)bf16_inner(p->panels_K) / 2 * BF16_PANEL;
    const uint32_t *panel = (const uint32_t *)(const void *)p->panels + m / BF16_PANEL * apart;
    panel += (int64_t)p->k0 / 2 * BF16_PANEL + m % BF16_PANEL;
    return (struct word_rows){ panel, BF16_PANEL };
}

/* `rows` rows of `words` words of A, and zeros down to a whole number of tiles. */
static struct word_rows copied(uint32_t *to, struct word_rows A, int rows, int words)
{
    for (int i = 0; i < SIDE; i++) {
        uint32_t *row = to + i * COPY_LD;
        if (i < rows) memcpy(row, A.w + i * A.ld, (size_t)words * sizeof *row);
        else memset(row, 0, (size_t)words * sizeof *row);
    }
    return (struct word_rows){ to, COPY_LD };
}

/* The part of `steps` steps from step k on. */
static void part(const struct gemm_bf16 *p, int k, int steps)
{
    _Alignas(ALIGN_BYTES) uint32_t copy[SIDE * COPY_LD];

    for (int i = 0; i < p->N; i += SIDE) {
        const int n = p->N - i < SIDE ? p->N - i : SIDE;
        struct word_rows A = rows_of(p);
        const int crowded = A.ld % CROWDED == 0;
        A.w += i * A.ld + k * AMX_SIDE;
        if (n < SIDE || crowded) A = copied(copy, A, n, steps * AMX_SIDE);
        for (int j = 0; j < p->M; j += SIDE) {
            const struct word_rows B = panel_of(p, j);
            float *C = p->C + (int64_t)i * p->ldc + j;
            amx_block(&(struct amx_block){
                .C = C, .from = k || p->add ? C : NULL, .A = A.w,
                .B = B.w + (int64_t)k * AMX_SIDE * B.ld, .ldc = p->ldc, .lda = A.ld, .ldb = B.ld,
                .rows = n, .columns = p->M - j < SIDE ? p->M - j : SIDE, .steps = steps,
            });
        }
    }
}

void gemm_bf16_tiles(const struct gemm_bf16 *p)
{
    const int steps = bf16_inner(p->K) / STEP;
    const int parts = steps > 0 ? (steps + MOST_STEPS - 1) / MOST_STEPS : 1;

    amx_begin();
    for (int i = 0; i < parts; i++) {
        const int k = steps * i / parts;
        part(p, k, steps * (i + 1) / parts - k);
    }
    amx_end();
}

/* Sixteen rows and columns at a time, each operand's tile copied element by element. */
static void tile_ref(const struct gemm_bf16 *p, int n0, int m0)
{
    enum { T = AMX_SIDE };
    const struct word_rows X = rows_of(p), B = panel_of(p, m0);
    uint32_t x[T * T], b[T * T];
    float c[T * T];

    for (int i = 0; i < T * T; i++) {
        const int n = n0 + i / T, m = m0 + i % T;
        c[i] = p->add && n < p->N && m < p->M ? p->C[(int64_t)n * p->ldc + m] : 0;
    }
    for (int k = 0; k < bf16_inner(p->K) / 2; k += T) {
        for (int i = 0; i < T * T; i++) {
            x[i] = n0 + i / T < p->N ? X.w[(n0 + i / T) * X.ld + k + i % T] : 0;
            b[i] = B.w[(k + i / T) * B.ld + i % T];
        }
        amx_dot_ref(c, x, b, T, T, T);
    }
    for (int i = 0; i < T * T; i++)
        if (n0 + i / T < p->N && m0 + i % T < p->M)
            p->C[(int64_t)(n0 + i / T) * p->ldc + m0 + i % T] = c[i];
}

void gemm_bf16_tiles_ref(const struct gemm_bf16 *p)
{
    for (int n = 0; n < p->N; n += AMX_SIDE)
        for (int m = 0; m < p->M; m += AMX_SIDE) tile_ref(p, n, m);
}

#else

void gemm_bf16_tiles(const struct gemm_bf16 *p)
{
    (void)p;
    check(!"products of doubles use tiles");
}

void gemm_bf16_tiles_ref(const struct gemm_bf16 *p) { gemm_bf16_tiles(p); }

#endif
