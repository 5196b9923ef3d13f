#include "src/param/grad.h"

#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/tiling.h"
#include "src/kernels/gemm_bf16.h"

/* A weight gradient is made tile by tile: the product of a tile stays in cache
 * until it is added.  The sizes are part of the result, not of the machine. */
#define TILE_M 192
#define TILE_N 192
#define TILE_M_BF16 128
#define TILE_N_BF16 256
#define SIDE_BF16 64
#define BLOCK 4096  /* elements that are converted at once */

/* Tiles of all parameters. */
static struct span *make_tiles(const struct param_table *t, int64_t *count)
{
    struct span *list = NULL;
    for (int pass = 0; pass < 2; pass++) {
        int64_t n = 0;
        for (int i = 0; i < t->count; i++) {
            const struct tiling c = tiling_of(t->p[i].shape, t->p[i].ndim);
            for (int64_t k = 0, at, size; list && k < tiling_count(&c); k++) {
                tiling_at(&c, k, &at, &size);
                at += t->p[i].offset;
                list[n + k] = (struct span){ at, at + size };
            }
            n += tiling_count(&c);
        }
        if (!list) list = mem_new(n, sizeof *list, "tiles");
        *count = n;
    }
    return list;
}

void grad_init(struct grad *g, const struct param_table *t, enum reduction mode)
{
    *g = (struct grad){ .table = t, .mode = mode, .units = 1, .bad = INT64_MAX };
    if (mode == REDUCE_EXACT) g->fixed = mem_new(t->total, sizeof *g->fixed, "exact gradients");
    else g->floats = mem_new(t->total, sizeof *g->floats, "gradients");
    g->tiles = make_tiles(t, &g->n_tiles);
    grad_hold(g, &(struct span){ 0, t->total }, 1);
}

void grad_hold(struct grad *g, const struct span *spans, int n)
{
    g->held = mem_resize(g->held, n, sizeof *g->held, "spans");
    memcpy(g->held, spans, (size_t)n * sizeof *spans);
    g->n_held = n;
}

void grad_done(struct grad *g)
{
    mem_free(g->fixed);
    mem_free(g->floats);
    mem_free(g->tiles);
    mem_free(g->held);
    *g = (struct grad){ 0 };
}

static void zero(struct grad *g, struct span z)
{
    const int64_t blocks = (z.end - z.begin + BLOCK - 1) / BLOCK;
    #pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t i = z.begin + b * BLOCK, left = z.end - i, n = left < BLOCK ? left : BLOCK;
        if (g->mode == REDUCE_EXACT) memset(g->fixed + i, 0, (size_t)n * sizeof *g->fixed);
        else memset(g->floats + i, 0, (size_t)n * sizeof *g->floats);
    }
}

void grad_begin(struct grad *g, int64_t units)
{
    check(units > 0);
    for (int i = 0; i < g->n_held; i++) zero(g, g->held[i]);
    g->units = units;
    g->bad = INT64_MAX;
}

/* sum += round(v * 2^44); returns how many elements were out of range (they
 * add nothing).  Never false for NaN. */
CLONES
static int64_t add_fixed(int64_t *sum, const real *v, int64_t n, double limit)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)v[i];
        const int good = fabs(x) <= limit;
        const double y = good ? x : 0.0;
        sum[i] += (int64_t)__builtin_rint(y * GRAD_SCALE);
        bad += !good;
    }
    return bad;
}

CLONES
static void add_floats(real *sum, const real *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) sum[i] += v[i];
}

static double limit_of(const struct grad *g) { return 0x1p19 / (double)g->units; }

static void note_bad(struct grad *g, int64_t offset)
{
    int64_t seen = __atomic_load_n(&g->bad, __ATOMIC_RELAXED);
    while (offset < seen &&
           !__atomic_compare_exchange_n(&g->bad, &seen, offset, 1, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) { }
}

void grad_add(struct grad *g, int64_t offset, const real *v, int64_t n)
{
    if (g->mode == REDUCE_FAST) add_floats(g->floats + offset, v, n);
    else if (add_fixed(g->fixed + offset, v, n, limit_of(g))) note_bad(g, offset);
}

void grad_add_tn(struct grad *g, int64_t offset, const real *A, int lda, const real *B, int ldb,
                 int M, int N, int K)
{
    const int rows = (M + TILE_M - 1) / TILE_M, cols = (N + TILE_N - 1) / TILE_N;
    const double limit = limit_of(g);

    #pragma omp parallel for schedule(dynamic) collapse(2)
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
            const int m0 = r * TILE_M, n0 = c * TILE_N;
            const int m = M - m0 < TILE_M ? M - m0 : TILE_M, n = N - n0 < TILE_N ? N - n0 : TILE_N;
            const int64_t at = offset + (int64_t)m0 * N + n0;
            if (g->mode == REDUCE_FAST) {
                gemm_tile('T', 'N', g->floats + at, N, A + m0, lda, B + n0, ldb, m, n, K,
                          GEMM_ADD);
                continue;
            }
            _Alignas(ALIGN_BYTES) real tile[TILE_M * TILE_N];
            gemm_tile('T', 'N', tile, n, A + m0, lda, B + n0, ldb, m, n, K, GEMM_SET);
            int64_t bad = 0;
            for (int i = 0; i < m; i++)
                bad += add_fixed(g->fixed + at + (int64_t)i * N, tile + (int64_t)i * n, n, limit);
            if (bad) note_bad(g, offset);
        }
    }
}

/* A block of rows and columns whose operands stay in the cache, in tiles whose result does. */
static void add_block_bf16(struct grad *g, int64_t at, const bf16 *A, const bf16 *B, int m, int n,
                           int N, int K)
{
    const int inner = bf16_inner(K);

    for (int n0 = 0; n0 < n; n0 += SIDE_BF16)
        for (int m0 = 0; m0 < m; m0 += SIDE_BF16) {
            _Alignas(ALIGN_BYTES) real tile[SIDE_BF16 * SIDE_BF16];
            const int high = m - m0 < SIDE_BF16 ? m - m0 : SIDE_BF16;
            const int wide = n - n0 < SIDE_BF16 ? n - n0 : SIDE_BF16;
            const bf16 *a = A + (int64_t)m0 * inner, *b = B + (int64_t)n0 * inner;
            const int64_t to = at + (int64_t)m0 * N + n0;
            if (g->mode == REDUCE_FAST) {
                gemm_bf16_tile(g->floats + to, N, a, b, high, wide, K, GEMM_ADD);
                continue;
            }
            gemm_bf16_tile(tile, SIDE_BF16, a, b, high, wide, K, GEMM_SET);
            for (int i = 0; i < high; i++)
                grad_add(g, to + (int64_t)i * N, tile + i * SIDE_BF16, wide);
        }
}

void grad_add_tn_bf16(struct grad *g, int64_t offset, const bf16 *A, const bf16 *B, int M, int N,
                      int K)
{
    const int rows = (M + TILE_M_BF16 - 1) / TILE_M_BF16;
    const int cols = (N + TILE_N_BF16 - 1) / TILE_N_BF16;

    #pragma omp parallel for schedule(dynamic) collapse(2)
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const int m0 = r * TILE_M_BF16, n0 = c * TILE_N_BF16;
            add_block_bf16(g, offset + (int64_t)m0 * N + n0, A + (int64_t)m0 * bf16_inner(K),
                           B + (int64_t)n0 * bf16_inner(K),
                           M - m0 < TILE_M_BF16 ? M - m0 : TILE_M_BF16,
                           N - n0 < TILE_N_BF16 ? N - n0 : TILE_N_BF16, N, K);
        }
}

CLONES
static void read_fixed(real *out, const int64_t *sum, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++) out[i] = (real)((double)sum[i] * factor);
}

CLONES
static void read_floats(real *out, const real *sum, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++) out[i] = (real)((double)sum[i] * factor);
}

void grad_read(const struct grad *g, real *out, int64_t offset, int64_t n)
{
    if (g->mode == REDUCE_EXACT)
        read_fixed(out, g->fixed + offset, n, 1.0 / GRAD_SCALE / (double)g->units);
    else
        read_floats(out, g->floats + offset, n, 1.0 / (double)g->units);
}

/* In sixteen lanes, so that it vectorises; the order is fixed by this text. */
CLONES
static double sumsq(const real *v, int n)
{
    double lane[16] = { 0 }, sum = 0;
    for (int i = 0; i < n / 16; i++)
        for (int k = 0; k < 16; k++) lane[k] += (double)v[16 * i + k] * (double)v[16 * i + k];
    for (int i = n / 16 * 16; i < n; i++) sum += (double)v[i] * (double)v[i];
    for (int k = 0; k < 16; k++) sum += lane[k];
    return sum;
}

static double tile_sumsq(const struct grad *g, struct span tile)
{
    _Alignas(ALIGN_BYTES) real v[BLOCK];
    double sum = 0;
    for (int64_t i = tile.begin; i < tile.end; i += BLOCK) {
        const int64_t n = tile.end - i < BLOCK ? tile.end - i : BLOCK;
        grad_read(g, v, i, n);
        sum += sumsq(v, (int)n);
    }
    return sum;
}

static int inside(struct span tile, const struct span *spans, int n)
{
    for (int i = 0; i < n; i++)
        if (tile.begin >= spans[i].begin && tile.end <= spans[i].end) return 1;
    return 0;
}

int grad_sumsq_part(const struct grad *g, const struct span *spans, int n, struct fixed *sum)
{
    int64_t hi = 0, lo = 0;
    int bad = 0;

    #pragma omp parallel for schedule(dynamic, 8) reduction(+ : hi, lo, bad)
    for (int64_t t = 0; t < g->n_tiles; t++) {
        if (!inside(g->tiles[t], spans, n)) continue;
        struct fixed part = { 0, 0 };
        const double s = tile_sumsq(g, g->tiles[t]);
        if (!(s < 0x1p42)) { bad++; continue; }
        fixed_add(&part, s);
        hi += part.hi;
        lo += part.lo;
    }
    *sum = (struct fixed){ hi, lo };
    return !bad;
}

double grad_sumsq(const struct grad *g)
{
    const struct span all = { 0, g->table->total };
    struct fixed sum;
    return grad_sumsq_part(g, &all, 1, &sum) ? fixed_value(sum) : INFINITY;
}

const char *grad_bad_name(const struct grad *g)
{
    if (g->bad == INT64_MAX) return NULL;
    return g->table->p[param_at(g->table, g->bad)].name;
}
