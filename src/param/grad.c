#include "src/param/grad.h"

#include <math.h>
#include <string.h>

#include "src/base/fixed.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/gemm.h"

/* A weight gradient is made tile by tile: the product of a tile stays in cache
 * until it is added.  The sizes are part of the result, not of the machine. */
#define TILE_M 192
#define TILE_N 192
#define BLOCK 4096  /* elements per partial sum of squares */

void grad_init(struct grad *g, const struct param_table *t, enum reduction mode)
{
    *g = (struct grad){ .table = t, .mode = mode, .units = 1, .bad = INT64_MAX };
    if (mode == REDUCE_EXACT) g->fixed = mem_new(t->total, sizeof *g->fixed, "exact gradients");
    else g->floats = mem_new(t->total, sizeof *g->floats, "gradients");
}

void grad_done(struct grad *g)
{
    mem_free(g->fixed);
    mem_free(g->floats);
    *g = (struct grad){ 0 };
}

void grad_begin(struct grad *g, int64_t units)
{
    check(units > 0);
    const int64_t blocks = (g->table->total + BLOCK - 1) / BLOCK;
    #pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t i = b * BLOCK, left = g->table->total - i, n = left < BLOCK ? left : BLOCK;
        if (g->mode == REDUCE_EXACT) memset(g->fixed + i, 0, (size_t)n * sizeof *g->fixed);
        else memset(g->floats + i, 0, (size_t)n * sizeof *g->floats);
    }
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

double grad_sumsq(const struct grad *g)
{
    const int64_t total = g->table->total, blocks = (total + BLOCK - 1) / BLOCK;
    int64_t hi = 0, lo = 0;
    int bad = 0;

    #pragma omp parallel for schedule(static) reduction(+ : hi, lo, bad)
    for (int64_t b = 0; b < blocks; b++) {
        _Alignas(ALIGN_BYTES) real v[BLOCK];
        const int64_t i = b * BLOCK, n = total - i < BLOCK ? total - i : BLOCK;
        struct fixed part = { 0, 0 };
        grad_read(g, v, i, n);
        const double s = sumsq(v, (int)n);
        if (!(s < 0x1p42)) { bad++; continue; }
        fixed_add(&part, s);
        hi += part.hi;
        lo += part.lo;
    }
    return bad ? INFINITY : fixed_value((struct fixed){ hi, lo });
}

const char *grad_bad_name(const struct grad *g)
{
    if (g->bad == INT64_MAX) return NULL;
    return g->table->p[param_at(g->table, g->bad)].name;
}
