/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm.h"

#include <string.h>
#include <unistd.h>

#include <cblas.h>
#include <omp.h>

#include "src/kernels/gemm_micro.h"
#include "src/kernels/transpose.h"
#include "src/kernels/unroll.h"
#include "src/kernels/vecmath.h"

/* How a piece of C is made, by one thread:
 *
 *     for each block of 256 numbers k        B's block -> panels of w columns, in the L2 cache
 *         for each tile of a few rows        A's rows of the block, copied, in the L1 cache
 *             for each panel                 micro-kernel: the tile of C stays in registers
 *
 * These are the loops of Goto and van de Geijn, except that A's rows are copied tile by tile, not as
 * a block.  A block of k is added to C as a whole, which is what [E48] fixes. */

/* A block of B in panels: what a thread may hold of it, on its stack. */
#define BLOCK_BYTES (512 << 10)
#define BLOCK_REALS (BLOCK_BYTES / (int)sizeof(real))

/* Pieces of the work for each thread, so that all threads finish at about the same time.  Nothing
 * of FEW rows or columns or fewer is cut further: packing costs as much as some ten of them. */
#define PIECES_PER_THREAD 2
#define TALLEST 2048   /* rows of a piece: B is packed once for all of them */
#define FEW 64

static int at_most(int n, int most) { return n < most ? n : most; }
static int ceil_of(int n, int each) { return (n + each - 1) / each; }

void gemm_start(void)
{
    isa_best();
    openblas_set_num_threads(1);   /* LAPACK's (lapack.h) */
}

/* --- packing --------------------------------------------------------------- */

/* An operand.  Number k of row i of A, or of column i of B, is at[i * ld + k]; if `transposed`,
 * at[k * ld + i].  An operand in bf16 has no `at`: rows of A, ld apart, or panels of B, ld from
 * each panel to the next. */
struct gemm_operand { const real *at; int64_t ld; int transposed; const bf16 *bf16; };

static const real *place(struct gemm_operand o, int64_t i, int64_t k)
{
    return o.transposed ? o.at + k * o.ld + i : o.at + i * o.ld + k;
}

/* Panels that are copied together, so that several cache lines of a row of B are read at once. */
#define TOGETHER 4
#define FETCH 12   /* rows ahead that are prefetched */

/* Rows of B (K,M) -> panels (K,w); w is a constant where this is inlined. */
INLINE void pack_copied(real *restrict to, const real *restrict B, int64_t ld, int K, int M, int w)
{
    const int whole = M / w;
    for (int p = 0; p < whole; p += TOGETHER) {
        const int n = at_most(whole - p, TOGETHER);
        for (int k = 0; k < K; k++)
            for (int q = 0; q < n; q++) {
                for (int j = 0; j < w; j += (int)ALIGN_REALS)
                    __builtin_prefetch(B + (k + FETCH) * ld + (p + q) * w + j);
                memcpy(to + ((int64_t)(p + q) * K + k) * w, B + k * ld + (p + q) * w,
                       (size_t)w * sizeof *to);
            }
    }
    if (whole * w < M)
        for (int k = 0; k < K; k++)
            for (int j = 0; j < w; j++)
                to[((int64_t)whole * K + k) * w + j] =
                    whole * w + j < M ? B[k * ld + whole * w + j] : 0;
}

#define SIDE TRANSPOSE_SIDE

/* SIDE columns of B, each `ld` from the next, and SIDE numbers k of them: to[k * w + j]. */
INLINE void transpose_square(real *restrict to, const real *restrict B, int64_t ld, int w)
{
#ifdef TTT_F64
    for (int j = 0; j < SIDE; j++)
        for (int k = 0; k < SIDE; k++) to[k * w + j] = B[j * ld + k];
#else
    transpose_row r[SIDE];
    UNROLL(8)
    for (int j = 0; j < SIDE; j++) memcpy(&r[j], B + j * ld, sizeof r[j]);
    transpose_registers(r);
    UNROLL(8)
    for (int k = 0; k < SIDE; k++) memcpy(to + k * w, &r[k], sizeof r[k]);
#endif
}

/* Columns of B, one after another (M,K) -> panels (K,w). */
INLINE void pack_transposed(real *restrict to, const real *restrict B, int64_t ld, int K, int M,
                            int w)
{
    for (int m = 0; m < M; m += w, to += (int64_t)K * w)
        for (int j = 0; j < w; j += SIDE) {
            const int squares = m + j + SIDE <= M && j + SIDE <= w ? K / SIDE * SIDE : 0;
            const real *b = B + (m + j) * ld;
            for (int k = 0; k < squares; k += SIDE) {
                for (int i = 0; i < SIDE; i++) __builtin_prefetch(b + (SIDE + i) * ld + k);
                transpose_square(to + k * w + j, b + k, ld, w);
            }
            for (int k = squares; k < K; k++)
                for (int i = 0; i < SIDE && j + i < w; i++)
                    to[k * w + j + i] = m + j + i < M ? b[i * ld + k] : 0;
        }
}

/* bf16 panels of a block of k, which begin with the column m0 % BF16_PANEL of the first -> panels
 * (K,w); GROUP columns at a time, which lie in one panel and, if M has the first of them, are
 * there. */
INLINE void pack_widened(real *restrict to, const bf16 *restrict B, int64_t apart, int K, int m0,
                         int M, int w)
{
    enum { GROUP = 8 };
    for (int m = 0; m < M; m += w, to += (int64_t)K * w)
        for (int j = 0; j < w; j += GROUP) {
            const int column = m0 + m + j;
            const bf16 *pair = B + column / BF16_PANEL * apart + column % BF16_PANEL * 2;
            for (int k = 0; k < K; k += 2, pair += 2 * BF16_PANEL)
                for (int i = 0; i < GROUP; i++) {
                    real *x = to + k * w + j + i;
                    x[0] = m + j < M ? (real)bf16_value(pair[2 * i]) : 0;
                    x[w] = m + j < M ? (real)bf16_value(pair[2 * i + 1]) : 0;
                }
        }
}

/* The block of B with k in [k0, k0 + K) and columns [m0, m0 + M) as panels of w columns. */
CLONES
static void pack_block(real *to, struct gemm_operand B, int k0, int K, int m0, int M, int w)
{
    if (B.bf16) {
        const bf16 *narrow = B.bf16 + (int64_t)k0 * BF16_PANEL;
        if (w == 48) pack_widened(to, narrow, B.ld, K, m0, M, 48);
        else if (w == 16) pack_widened(to, narrow, B.ld, K, m0, M, 16);
        else pack_widened(to, narrow, B.ld, K, m0, M, w);
        return;
    }
    const real *b = place(B, m0, k0);
    if (B.transposed) {
        if (w == 48) pack_copied(to, b, B.ld, K, M, 48);
        else if (w == 16) pack_copied(to, b, B.ld, K, M, 16);
        else pack_copied(to, b, B.ld, K, M, w);
    } else {
        if (w == 48) pack_transposed(to, b, B.ld, K, M, 48);
        else if (w == 16) pack_transposed(to, b, B.ld, K, M, 16);
        else pack_transposed(to, b, B.ld, K, M, w);
    }
}

/* --- a block of k ----------------------------------------------------------- */

struct product { struct gemm_operand A, B; real *C; int64_t ldc; int K, add; };

/* Rows [n0, n0 + n), columns [m0, m0 + m) of C; m * GEMM_BLOCK reals fit in BLOCK_BYTES. */
struct piece { int n0, n, m0, m; };

/* What numbers [k0, k0 + K) of the inner length add to a piece, whose rows are cut into tiles. */
struct gemm_slab { const struct product *p; struct piece c; int k0, K, tiles; };

/* The first row of tile t; all tiles are as high as the others, or one row higher. */
static int top(const struct gemm_slab *b, int t)
{
    return b->c.n0 + (int)((int64_t)b->c.n * t / b->tiles);
}

#define COPIES ((64 << 10) / (int)sizeof(real))   /* of rows, at once */
#define MOST_TOGETHER 16                          /* tiles in them    */

/* Copies of the rows of tile t. */
CLONES
static void copy_along(real *restrict to, const struct gemm_slab *b, int t)
{
    const struct gemm_operand A = b->p->A;
    const int n0 = top(b, t), n1 = top(b, t + 1);
    for (int n = n0; n < n1; n++) {
        real *row = to + (n - n0) * GEMM_MICRO_ROW;
        if (A.bf16) {
            const bf16 *narrow = A.bf16 + n * A.ld + b->k0;
            for (int k = 0; k < b->K; k++) row[k] = (real)bf16_value(narrow[k]);
        } else {
            memcpy(row, place(A, n, b->k0), (size_t)b->K * sizeof *row);
        }
    }
}

/* Reals from one copy of a tile ACROSS to the next: the last move of a tile ends after it. */
static int tile_reals(const struct gemm_micro *micro)
{
    return micro->rows * GEMM_BLOCK + micro->move;
}

/* Copies of tiles [t, end) of a transposed A, `rows` numbers for each k; a move takes `move` of them.
 * They are made together, since they lie in the same lines of the cache. */
INLINE void copy_tiles(real *restrict to, const struct gemm_slab *b, int t, int end, int rows,
                       int move)
{
    const struct gemm_operand A = b->p->A;
    const int after = b->c.n0 + b->c.n, K = b->K, tile = rows * GEMM_BLOCK + move;
    const real *from[MOST_TOGETHER];
    int all = end - t;   /* of these tiles start early enough for a move */

    for (int i = t; i < end; i++) from[i - t] = place(A, top(b, i), b->k0);
    while (all > 0 && top(b, t + all - 1) + move > after) all--;
    for (int k = 0; k < K; k++)
        for (int i = 0; i < all; i++) {
            __builtin_prefetch(from[i] + (k + FETCH) * A.ld);
            memcpy(to + (int64_t)i * tile + k * rows, from[i] + k * A.ld,
                   (size_t)move * sizeof *to);
        }
    for (int i = all; i < end - t; i++)
        for (int k = 0; k < K; k++)
            memcpy(to + (int64_t)i * tile + k * rows, from[i] + k * A.ld,
                   (size_t)(after - top(b, t + i)) * sizeof *to);
}

CLONES
static void copy_across(real *to, const struct gemm_slab *b, int t, int end,
                        const struct gemm_micro *micro)
{
    if (micro->move == 16) copy_tiles(to, b, t, end, micro->rows, 16);
    else if (micro->move == 8) copy_tiles(to, b, t, end, micro->rows, 8);
    else copy_tiles(to, b, t, end, micro->rows, micro->move);
}

/* The rows of tile t, copied; copies [in,out] hold `together` tiles of a transposed A from one to
 * the next. */
static const real *rows_of(real *copies, const struct gemm_slab *b, int t, int together,
                           const struct gemm_micro *micro)
{
    if (!b->p->A.transposed) {
        copy_along(copies, b, t);
        return copies;
    }
    if (t % together == 0) copy_across(copies, b, t, at_most(t + together, b->tiles), micro);
    return copies + t % together * tile_reals(micro);
}

/* A row of tile t + 1, or what is as good: what to prefetch while tile t is multiplied by panel j
 * of `count`. */
static const real *ahead(const struct gemm_slab *b, int t, int j, int count)
{
    const struct gemm_operand A = b->p->A;
    if (A.transposed || A.bf16 || t + 1 >= b->tiles) return b->p->C;
    const int n0 = top(b, t + 1), n = top(b, t + 2) - n0;
    return place(A, n0 + n * j / count, b->k0);
}

/* The first `wide` of a tile's w columns, n rows: those that C has. */
static void put_narrow(real *C, int64_t ldc, const real *tile, int w, int n, int wide, int add)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < wide; j++) {
            const real s = tile[i * w + j];
            C[i * ldc + j] = add ? C[i * ldc + j] + s : s;
        }
}

/* `panels`: the block of B, packed. */
static void add_block(const struct gemm_slab *b, const real *panels, const struct gemm_micro *micro)
{
    const struct product *p = b->p;
    const int w = micro->columns, count = ceil_of(b->c.m, w), add = p->add || b->k0 > 0;
    _Alignas(ALIGN_BYTES) real copies[COPIES];
    _Alignas(ALIGN_BYTES) real narrow[GEMM_MICRO_ROWS * GEMM_MICRO_COLUMNS];
    const int together = COPIES / tile_reals(micro);

    for (int t = 0; t < b->tiles; t++) {
        const int n0 = top(b, t), n = top(b, t + 1) - n0;
        const real *a = rows_of(copies, b, t, together, micro);
        gemm_micro_fn *f = micro->f[p->A.transposed ? GEMM_ACROSS : GEMM_ALONG][n - 1];
        for (int j = 0; j < count; j++) {
            real *C = p->C + n0 * p->ldc + b->c.m0 + j * w;
            const real *panel = panels + (int64_t)j * w * b->K;
            const int wide = b->c.m - j * w;
            const real *next = ahead(b, t, j, count);
            if (wide >= w) {
                f(C, p->ldc, a, panel, b->K, add, next);
            } else {
                f(narrow, w, a, panel, b->K, 0, next);
                put_narrow(C, p->ldc, narrow, w, n, wide, add);
            }
        }
    }
}

/* --- a piece of C ---------------------------------------------------------- */

static void multiply(const struct product *p, struct piece c)
{
    const struct gemm_micro *micro = gemm_micro(isa_best());
    const int tiles = ceil_of(c.n, micro->rows);
    _Alignas(ALIGN_BYTES) real panels[BLOCK_REALS];

    for (int k = 0; k == 0 || k < p->K; k += GEMM_BLOCK) {  /* of no k at all the sum is zero */
        const int K = at_most(p->K - k, GEMM_BLOCK);
        pack_block(panels, p->B, k, K, c.m0, c.m, micro->columns);
        add_block(&(struct gemm_slab){ p, c, k, K, tiles }, panels, micro);
    }
}

/* --- pieces ---------------------------------------------------------------- *
 *
 * How C is cut is no part of the result. */

int64_t gemm_l2(void)
{
    static long l2;
    long known;
    #pragma omp atomic read
    known = l2;
    if (!known) {
        known = sysconf(_SC_LEVEL2_CACHE_SIZE);
        if (known <= 0) known = 512 << 10;
        #pragma omp atomic write
        l2 = known;
    }
    return known;
}

/* Columns of a piece: half of the L2 cache may hold them for a block of k. */
static int widest(void)
{
    const int64_t half = gemm_l2() / 2 < BLOCK_BYTES ? gemm_l2() / 2 : BLOCK_BYTES;
    const int columns = (int)(half / (GEMM_BLOCK * (int64_t)sizeof(real)));
    return columns / GEMM_MICRO_COLUMNS * GEMM_MICRO_COLUMNS;
}

void gemm_cut(int *down, int *across, int N, int M, int tall, int wide, int threads)
{
    *down = ceil_of(N, tall);
    *across = ceil_of(M, wide);
    while (threads > 1) {
        const int pieces = *down * *across, n = N / *down, m = M / *across;
        if (pieces >= PIECES_PER_THREAD * threads &&
            (pieces % threads == 0 || pieces >= 4 * PIECES_PER_THREAD * threads)) return;
        if (n >= m && n > FEW) ++*down;
        else if (m > FEW) ++*across;
        else return;
    }
}

static void in_pieces(const struct product *p, int N, int M)
{
    int rows, cols;
    gemm_cut(&rows, &cols, N, M, TALLEST, widest(), omp_get_num_threads());
    const int n = ceil_of(N, rows), m = ceil_of(M, cols * GEMM_MICRO_COLUMNS) * GEMM_MICRO_COLUMNS;
    rows = ceil_of(N, n);
    cols = ceil_of(M, m);
    #pragma omp for schedule(dynamic) collapse(2) nowait
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < rows; r++)
            multiply(p, (struct piece){ r * n, at_most(N - r * n, n),
                                        c * m, at_most(M - c * m, m) });
}

static void in_strips(const struct product *p, int N, int M)
{
    const int most = widest();
    for (int m = 0; m < M; m += most)
        multiply(p, (struct piece){ 0, N, m, at_most(M - m, most) });
}

/* --- calls ------------------------------------------------------------------ */

static int row_C(const struct gemm *p) { return p->ldc ? p->ldc : p->M; }
static int row_A(const struct gemm *p) { return p->lda ? p->lda : p->transpose_A ? p->N : p->K; }
static int row_B(const struct gemm *p) { return p->ldb ? p->ldb : p->transpose_B ? p->K : p->M; }

static struct product product_of(const struct gemm *p)
{
    return (struct product){
        .A = { .at = p->A, .ld = row_A(p), .transposed = p->transpose_A },
        .B = { .at = p->B, .ld = row_B(p), .transposed = !p->transpose_B },
        .C = p->C, .ldc = row_C(p), .K = p->K, .add = p->add,
    };
}

void gemm_team(const struct gemm *p)
{
    const struct product product = product_of(p);
    if (p->N > 0 && p->M > 0) in_pieces(&product, p->N, p->M);
}

void gemm(const struct gemm *p)
{
    #pragma omp parallel
    gemm_team(p);
}

void gemm_tile(const struct gemm *p)
{
    const struct product product = product_of(p);
    in_strips(&product, p->N, p->M);
}

void gemm_widened(const struct gemm_bf16 *p)
{
    const int K = bf16_inner(p->K), panels_K = p->panels_K ? p->panels_K : p->K;
    const struct product product = {
        .A = { .bf16 = p->rows, .ld = K },
        .B = { .bf16 = p->panels + (int64_t)p->k0 * BF16_PANEL,
               .ld = (int64_t)bf16_inner(panels_K) * BF16_PANEL },
        .C = p->C, .ldc = p->ldc ? p->ldc : p->M, .K = K, .add = p->add,
    };
    in_strips(&product, p->N, p->M);
}

CLONES
void gemm_ref(const struct gemm *p)
{
    const int64_t ldc = row_C(p), lda = row_A(p), ldb = row_B(p);
    for (int n = 0; n < p->N; n++)
        for (int m = 0; m < p->M; m++) {
            real *c = p->C + n * ldc + m;
            for (int k0 = 0; k0 == 0 || k0 < p->K; k0 += GEMM_BLOCK) {
                real s = 0;
                for (int k = k0; k < p->K && k < k0 + GEMM_BLOCK; k++)
                    s = vfma(p->A[p->transpose_A ? k * lda + n : n * lda + k],
                             p->B[p->transpose_B ? m * ldb + k : k * ldb + m], s);
                *c = !p->add && k0 == 0 ? s : *c + s;
            }
        }
}
