/* SPDX-License-Identifier: Apache-2.0 */
#include "src/param/grad.h"

#include <math.h>
#include <string.h>

#include <omp.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/tiling.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/isa.h"
#include "src/kernels/vecmath.h"

/* A weight gradient is made tile by tile, so that the product of a tile stays in the cache until it
 * is added.  The largest number of rows and columns is measured: in a larger tile the packing of
 * operands costs less, but its sums leave the L2 cache, for which wider instructions wait sooner.  A
 * tile is on a thread's stack, together with the panels of gemm.c. */
#define TILE 384
static int tile_side(void)
{
    if (gemm_l2() >= 1280 << 10) return TILE;
    return isa_best() >= ISA_AVX512 ? TILE / 2 : TILE / 3 * 2;
}

#define TILE_M_BF16 128
#define TILE_N_BF16 256
#define SIDE_BF16 64
#define BLOCK 4096  /* elements that are converted at once */
#define FRESH 4096  /* elements of a matrix whose sums are not set to zero at the start */

/* Tiles of all parameters. */
static struct span *make_tiles(const struct param_table *t, int64_t *count)
{
    struct span *list = NULL;
    for (int pass = 0; pass < 2; pass++) {
        int64_t n = 0;
        for (int i = 0; i < t->count; i++) {
            const struct tiling c = tiling_of(t->p[i].shape, t->p[i].ndim);
            if (list)
                for (int64_t k = 0, at, size; k < tiling_count(&c); k++) {
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
    g->fresh = mem_new(t->count, sizeof *g->fresh, "parameters");
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
    mem_free(g->fresh);
    mem_free(g->held);
    *g = (struct grad){ 0 };
}

static void zero(struct grad *g, struct span z)
{
    const int64_t blocks = (z.end - z.begin + BLOCK - 1) / BLOCK;
    #pragma omp parallel for schedule(static) if (blocks > 1)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t i = z.begin + b * BLOCK, left = z.end - i, n = left < BLOCK ? left : BLOCK;
        if (g->mode == REDUCE_EXACT) memset(g->fixed + i, 0, (size_t)n * sizeof *g->fixed);
        else memset(g->floats + i, 0, (size_t)n * sizeof *g->floats);
    }
}

static struct span span_of(const struct param *p)
{
    return (struct span){ p->offset, p->offset + p->n };
}

/* Is parameter i left as it is until something is added?  Only whole ones. */
static int starts_fresh(const struct param *p, struct span held)
{
    return p->ndim == 2 && p->n >= FRESH && p->offset >= held.begin &&
           p->offset + p->n <= held.end;
}

static void begin_span(struct grad *g, struct span held)
{
    const struct param_table *t = g->table;
    int64_t from = held.begin;

    if (held.end <= held.begin) return;
    for (int i = param_at(t, held.begin); i < t->count && t->p[i].offset < held.end; i++) {
        g->fresh[i] = (char)starts_fresh(&t->p[i], held);
        if (!g->fresh[i]) continue;
        g->n_fresh++;
        zero(g, (struct span){ from, t->p[i].offset });
        from = t->p[i].offset + t->p[i].n;
    }
    zero(g, (struct span){ from, held.end });
}

void grad_begin(struct grad *g, int64_t units)
{
    check(units > 0);
    memset(g->fresh, 0, (size_t)g->table->count);
    g->n_fresh = 0;
    for (int i = 0; i < g->n_held; i++) begin_span(g, g->held[i]);
    g->units = units;
    g->bad = INT64_MAX;
}

/* Matrix i is fresh no longer: the thread that comes first clears it, others wait. */
static void settle(struct grad *g, int i)
{
    if (!__atomic_load_n(&g->fresh[i], __ATOMIC_ACQUIRE)) return;
    #pragma omp critical(grad_settle)
    if (g->fresh[i]) {
        zero(g, span_of(&g->table->p[i]));
        __atomic_store_n(&g->fresh[i], 0, __ATOMIC_RELEASE);
        __atomic_sub_fetch(&g->n_fresh, 1, __ATOMIC_RELEASE);
    }
}

/* [offset, offset + n) is about to be added to. */
static void touch(struct grad *g, int64_t offset, int64_t n)
{
    const struct param_table *t = g->table;
    if (!__atomic_load_n(&g->n_fresh, __ATOMIC_ACQUIRE) || n <= 0) return;
    for (int i = param_at(t, offset); i < t->count && t->p[i].offset < offset + n; i++)
        settle(g, i);
}

/* A contribution to all of [offset, offset + n): may it be stored?  If not, it is to be added. */
static int takes_all(struct grad *g, int64_t offset, int64_t n)
{
    if (!g->n_fresh) return 0;
    const int i = param_at(g->table, offset);
    const struct param *p = &g->table->p[i];
    if (g->fresh[i] && p->offset == offset && p->n == n) {
        g->fresh[i] = 0;
        g->n_fresh--;
        return 1;
    }
    touch(g, offset, n);
    return 0;
}

void grad_end(struct grad *g, int64_t begin, int64_t end) { touch(g, begin, end - begin); }

/* Exact sums in fixed point.
 *
 * Floating-point addition depends on the order of its terms; integer addition does not.  So each
 * contribution v, of which |v| < 2^19 / units, becomes the integer round(v 2^44): a sum of `units`
 * of them is below 2^63.  Rounding happens once for each contribution and is a function of it
 * alone; its error, 2^-45, is far below that of the fp32 product that made v, unless v is tiny.
 * Reproducible sums by a fixed grid of this kind: Demmel and Nguyen, "Parallel Reproducible
 * Summation", 2015.
 *
 * x rounded to nearest, ties to even, for |x| <= 2^51: adding 1.5 * 2^52 makes a sum whose last bit
 * is worth one, and the low bits of the sum are x. */
INLINE int64_t nearest(double x)
{
    const double sum = x + 0x1.8p52;
    int64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits - INT64_C(0x4338000000000000);
}

/* round(v * 2^44); what is out of range, NaN too, is counted and becomes zero.  Its upper and lower
 * 32 bits are made apart, because a conversion of a double to int64_t does not vectorise without
 * AVX-512DQ. */
INLINE int64_t to_fixed(real v, double limit, int64_t *bad)
{
    const double x = (double)v;
    const int good = fabs(x) < limit;
    *bad += !good;
    const double y = (good ? x : 0.0) * GRAD_SCALE;
    const double high = (y * 0x1p-32 + 0x1.8p52) - 0x1.8p52;
    return (int64_t)(((uint64_t)nearest(high) << 32) + (uint64_t)nearest(y - high * 0x1p32));
}

/* sum += or, when `set`, = ; returns how many elements were out of range. */
CLONES
static int64_t add_fixed(int64_t *restrict sum, const real *restrict v, int64_t n, double limit,
                         int set)
{
    int64_t bad = 0;
    if (set) for (int64_t i = 0; i < n; i++) sum[i] = to_fixed(v[i], limit, &bad);
    else for (int64_t i = 0; i < n; i++) sum[i] += to_fixed(v[i], limit, &bad);
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
    touch(g, offset, n);
    if (g->mode == REDUCE_FAST) add_floats(g->floats + offset, v, n);
    else if (add_fixed(g->fixed + offset, v, n, limit_of(g), 0)) note_bad(g, offset);
}

/* Rows of a tile (m,n), `ld` apart, to the sums from `to` on of a matrix with N columns.
 * returns how many elements were out of range */
static int64_t add_tile(struct grad *g, int64_t to, int N, const real *tile, int ld, int m, int n,
                        int set)
{
    const double limit = limit_of(g);
    int64_t bad = 0;
    for (int i = 0; i < m; i++)
        bad += add_fixed(g->fixed + to + (int64_t)i * N, tile + (int64_t)i * ld, n, limit, set);
    return bad;
}

/* Where part i begins if n things are cut into so many parts. */
static int cut_at(int n, int i, int parts) { return (int)((int64_t)n * i / parts); }

int grad_starts_tn(struct grad *g, int64_t offset, int M, int N)
{
    return takes_all(g, offset, (int64_t)M * N);
}

void grad_add_tn_team(struct grad *g, int64_t offset, const real *A, const real *B, int M, int N,
                      int K, int set)
{
    int rows, cols;

    gemm_cut(&rows, &cols, M, N, tile_side(), tile_side(), omp_get_num_threads());
    #pragma omp for schedule(dynamic) collapse(2) nowait
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
            const int m0 = cut_at(M, r, rows), m = cut_at(M, r + 1, rows) - m0;
            const int n0 = cut_at(N, c, cols), n = cut_at(N, c + 1, cols) - n0;
            const int64_t at = offset + (int64_t)m0 * N + n0;
            struct gemm p = { .A = A + m0, .lda = M, .transpose_A = 1, .B = B + n0, .ldb = N,
                              .N = m, .M = n, .K = K };
            if (g->mode == REDUCE_FAST) {
                p.C = g->floats + at;
                p.ldc = N;
                p.add = !set;
                gemm_tile(&p);
                continue;
            }
            _Alignas(ALIGN_BYTES) real tile[TILE * TILE];
            p.C = tile;
            gemm_tile(&p);
            if (add_tile(g, at, N, tile, n, m, n, set)) note_bad(g, offset);
        }
    }
}

void grad_add_tn(struct grad *g, int64_t offset, const real *A, const real *B, int M, int N, int K)
{
    const int set = grad_starts_tn(g, offset, M, N);
    #pragma omp parallel
    grad_add_tn_team(g, offset, A, B, M, N, K, set);
}

/* A block of rows and columns whose operands stay in the cache, in tiles whose result does: to the
 * sums from `to` on of a matrix with N columns.  returns how many elements were out of range */
static int64_t add_block_bf16(struct grad *g, int64_t to, int N, const struct gemm_bf16 *block,
                              int set)
{
    const int inner = bf16_inner(block->K), columns = gemm_bf16_tile_columns();
    int64_t bad = 0;

    for (int n0 = 0; n0 < block->M; n0 += columns)
        for (int m0 = 0; m0 < block->N; m0 += SIDE_BF16) {
            _Alignas(ALIGN_BYTES) real tile[SIDE_BF16 * TILE_N_BF16];
            const int64_t at = to + (int64_t)m0 * N + n0;
            struct gemm_bf16 p = *block;
            p.rows += (int64_t)m0 * inner;
            p.panels += (int64_t)n0 * inner;
            p.N = block->N - m0 < SIDE_BF16 ? block->N - m0 : SIDE_BF16;
            p.M = block->M - n0 < columns ? block->M - n0 : columns;
            if (g->mode == REDUCE_FAST) {
                p.C = g->floats + at;
                p.ldc = N;
                p.add = !set;
                gemm_bf16_tile(&p);
                continue;
            }
            p.C = tile;
            p.ldc = columns;
            gemm_bf16_tile(&p);
            bad += add_tile(g, at, N, tile, columns, p.N, p.M, set);
        }
    return bad;
}

void grad_add_tn_bf16(struct grad *g, int64_t offset, const bf16 *A, const bf16 *B, int M, int N,
                      int K)
{
    const int rows = (M + TILE_M_BF16 - 1) / TILE_M_BF16;
    const int cols = (N + TILE_N_BF16 - 1) / TILE_N_BF16;
    const int set = takes_all(g, offset, (int64_t)M * N);

    #pragma omp parallel for schedule(dynamic) collapse(2)
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const int m0 = r * TILE_M_BF16, n0 = c * TILE_N_BF16;
            const struct gemm_bf16 block = {
                .rows = A + (int64_t)m0 * bf16_inner(K), .panels = B + (int64_t)n0 * bf16_inner(K),
                .N = M - m0 < TILE_M_BF16 ? M - m0 : TILE_M_BF16,
                .M = N - n0 < TILE_N_BF16 ? N - n0 : TILE_N_BF16, .K = K,
            };
            if (add_block_bf16(g, offset + (int64_t)m0 * N + n0, N, &block, set))
                note_bad(g, offset);
        }
}

/* (double)x, rounded once: its upper 32 bits, shifted by 2^31, and its lower ones as the low bits of
 * 2^84 and 2^52 (only AVX-512DQ converts whole ones in vectors). */
INLINE double to_double(int64_t x)
{
    const uint64_t upper = ((uint64_t)x >> 32 ^ UINT64_C(0x80000000)) | UINT64_C(0x453) << 52;
    const uint64_t lower = ((uint64_t)x & UINT64_C(0xffffffff)) | UINT64_C(0x433) << 52;
    double high, low;
    memcpy(&high, &upper, sizeof high);
    memcpy(&low, &lower, sizeof low);
    return (high - (0x1p84 + 0x1p63 + 0x1p52)) + low;
}

CLONES
static void read_fixed(real *restrict out, const int64_t *restrict sum, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++) out[i] = (real)(to_double(sum[i]) * factor);
}

CLONES
static void read_floats(real *out, const real *sum, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++) out[i] = (real)((double)sum[i] * factor);
}

void grad_read(const struct grad *g, real *out, int64_t offset, int64_t n)
{
    check(!g->n_fresh);
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

    check(!g->n_fresh);
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
