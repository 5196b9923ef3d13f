#include "src/kernels/gemm.h"

#include <string.h>
#include <unistd.h>

#include <cblas.h>
#include <omp.h>

#include "src/kernels/gemm_micro.h"
#include "src/kernels/transpose.h"
#include "src/kernels/vecmath.h"

/* A block of B in panels: what a thread may hold of it, on its stack. */
#define BLOCK_BYTES (512 << 10)
#define BLOCK_REALS (BLOCK_BYTES / (int)sizeof(real))

/* Pieces of the work for each thread, so that all end at about the same time, but none is cut below
 * so many rows or columns: packing costs as much as some ten of them. */
#define PIECES_PER_THREAD 2
#define FEW 64

static int ceil_of(int n, int each) { return (n + each - 1) / each; }

void gemm_start(void)
{
    isa_best();
    openblas_set_num_threads(1);   /* LAPACK's (lapack.h) */
}

/* --- packing --------------------------------------------------------------- */

/* An operand: number k of row (of A) or column (of B) i is at at[i * ld + k], or, transposed, at
 * at[k * ld + i].  Or it has bf16 numbers: rows of A, ld apart, or panels of B, ld from each to the
 * next. */
struct operand { const real *at; int64_t ld; int transposed; const bf16 *bf16; };

static struct operand reals(const real *at, int ld, int transposed)
{
    return (struct operand){ .at = at, .ld = ld, .transposed = transposed };
}

static const real *place(struct operand o, int64_t i, int64_t k)
{
    return o.transposed ? o.at + k * o.ld + i : o.at + i * o.ld + k;
}

/* Panels that are copied together, so that more than a line of a row of B is read at once. */
#define TOGETHER 4
#define FETCH 12   /* rows ahead, to come into the cache */

/* Rows of B (K,M) -> panels (K,w); w is a constant where this is inlined. */
INLINE void pack_copied(real *restrict to, const real *restrict B, int64_t ld, int K, int M, int w)
{
    const int whole = M / w;
    for (int p = 0; p < whole; p += TOGETHER) {
        const int n = whole - p < TOGETHER ? whole - p : TOGETHER;
        for (int k = 0; k < K; k++)
            for (int q = 0; q < n; q++) {
                for (int j = 0; j < w; j += (int)ALIGN_REALS)
                    __builtin_prefetch(B + (k + FETCH) * ld + (p + q) * w + j);
                memcpy(to + ((int64_t)(p + q) * K + k) * w, B + k * ld + (p + q) * w,
                       (size_t)w * sizeof *to);
            }
    }
    for (int k = 0; whole * w < M && k < K; k++)
        for (int j = 0; j < w; j++)
            to[((int64_t)whole * K + k) * w + j] = whole * w + j < M ? B[k * ld + whole * w + j] : 0;
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
    for (int j = 0; j < SIDE; j++) memcpy(&r[j], B + j * ld, sizeof r[j]);
    transpose_registers(r);
    for (int k = 0; k < SIDE; k++) memcpy(to + k * w, &r[k], sizeof r[k]);
#endif
}

/* Columns of B, one after another (M,K) -> panels (K,w). */
INLINE void pack_transposed(real *restrict to, const real *restrict B, int64_t ld, int K, int M, int w)
{
    for (int m = 0; m < M; m += w, to += (int64_t)K * w)
        for (int j = 0; j < w; j += SIDE) {
            const int squares = m + j + SIDE <= M && j + SIDE <= w ? K / SIDE * SIDE : 0;
            const real *b = B + (m + j) * ld;
            for (int k = 0; k < squares; k += SIDE) transpose_square(to + k * w + j, b + k, ld, w);
            for (int k = squares; k < K; k++)
                for (int i = 0; i < SIDE && j + i < w; i++)
                    to[k * w + j + i] = m + j + i < M ? b[i * ld + k] : 0;
        }
}

/* bf16 panels of a block of k, which begin with the column m0 % BF16_PANEL of the first -> panels
 * (K,w). */
INLINE void pack_widened(real *restrict to, const bf16 *restrict B, int64_t apart, int K, int m0,
                         int M, int w)
{
    for (int m = 0; m < M; m += w, to += (int64_t)K * w) {
        const int column = m0 + m;
        const bf16 *pair = B + column / BF16_PANEL * apart + column % BF16_PANEL * 2;
        for (int k = 0; k < K; k += 2, pair += 2 * BF16_PANEL)
            for (int j = 0; j < w; j++) {
                to[k * w + j] = (real)bf16_value(pair[2 * j]);
                to[(k + 1) * w + j] = (real)bf16_value(pair[2 * j + 1]);
            }
    }
}

/* The block of B with k in [k0, k0 + K) and columns [m0, m0 + M) as panels of w columns. */
CLONES
static void pack_block(real *to, struct operand B, int k0, int K, int m0, int M, int w)
{
    if (B.bf16) {
        const bf16 *narrow = B.bf16 + (int64_t)k0 * BF16_PANEL;
        if (w == 32) pack_widened(to, narrow, B.ld, K, m0, M, 32);
        else if (w == 16) pack_widened(to, narrow, B.ld, K, m0, M, 16);
        else pack_widened(to, narrow, B.ld, K, m0, M, w);
        return;
    }
    const real *b = place(B, m0, k0);
    if (B.transposed) {
        if (w == 32) pack_copied(to, b, B.ld, K, M, 32);
        else if (w == 16) pack_copied(to, b, B.ld, K, M, 16);
        else pack_copied(to, b, B.ld, K, M, w);
    } else {
        if (w == 32) pack_transposed(to, b, B.ld, K, M, 32);
        else if (w == 16) pack_transposed(to, b, B.ld, K, M, 16);
        else pack_transposed(to, b, B.ld, K, M, w);
    }
}

/* --- a piece of C ---------------------------------------------------------- */

struct product { struct operand A, B; real *C; int64_t ldc; int K, add; };

/* Rows [n0, n0 + n), columns [m0, m0 + m); m * GEMM_BLOCK reals fit in BLOCK_BYTES. */
struct piece { int n0, n, m0, m; };

/* The first row of tile t of so many, all of them as high as the others. */
static int top(struct piece c, int t, int tiles)
{
    return c.n0 + (int)((int64_t)c.n * t / tiles);
}

/* A tile's rows as a micro-kernel wants them. */
struct rows { enum gemm_layout layout; const real *at; int64_t apart; };

#define COPIES_BYTES (64 << 10)   /* of rows, at once */
#define MOST_TOGETHER 16          /* tiles in them    */

/* Copies of rows [n0, n1), k in [k0, k0 + K). */
CLONES
static struct rows along(real *restrict to, struct operand A, int n0, int n1, int k0, int K)
{
    for (int n = 0; n < n1 - n0; n++) {
        real *row = to + n * GEMM_MICRO_ROW;
        if (A.bf16) {
            const bf16 *narrow = A.bf16 + (n0 + n) * A.ld + k0;
            for (int k = 0; k < K; k++) row[k] = (real)bf16_value(narrow[k]);
        } else {
            memcpy(row, place(A, n0 + n, k0), (size_t)K * sizeof *row);
        }
    }
    return (struct rows){ GEMM_ALONG, to, 0 };
}

/* Is a transposed A read where it lies?  Not if the numbers that a tile needs would push each other out
 * of the caches there. */
static int in_place(struct operand A, const struct gemm_micro *micro)
{
    const int64_t bytes = A.ld * (int64_t)sizeof(real);
    return (bytes & -bytes) <= micro->in_place;
}

/* Copies of tiles [t, end) of a transposed A, `wide` numbers for each k: as many as a tile has rows, or
 * more, in one move.  They are made together, since they lie in the same lines of the cache. */
INLINE void copy_tiles(real *restrict to, struct operand A, struct piece c, int t, int end, int tiles,
                       int k0, int K, int wide)
{
    const real *from[MOST_TOGETHER];
    int all = end - t;   /* of these tiles start early enough for `wide` rows */
    for (int i = t; i < end; i++) from[i - t] = place(A, top(c, i, tiles), k0);
    while (all > 0 && top(c, t + all - 1, tiles) + wide > c.n0 + c.n) all--;
    for (int k = 0; k < K; k++)
        for (int i = 0; i < all; i++)
            memcpy(to + ((int64_t)i * GEMM_BLOCK + k) * wide, from[i] + k * A.ld,
                   (size_t)wide * sizeof *to);
    for (int i = all; i < end - t; i++)
        for (int k = 0; k < K; k++)
            memcpy(to + ((int64_t)i * GEMM_BLOCK + k) * wide, from[i] + k * A.ld,
                   (size_t)(c.n0 + c.n - top(c, t + i, tiles)) * sizeof *to);
}

CLONES
static void copy_across(real *to, struct operand A, struct piece c, int t, int end, int tiles, int k0,
                        int K, int wide)
{
    if (wide == 16) copy_tiles(to, A, c, t, end, tiles, k0, K, 16);
    else if (wide == 8) copy_tiles(to, A, c, t, end, tiles, k0, K, 8);
    else copy_tiles(to, A, c, t, end, tiles, k0, K, wide);
}

/* Tile t; copies [in,out] hold a few tiles of a transposed A from one to the next. */
static struct rows rows_of(real *copies, struct operand A, struct piece c, int t, int tiles, int k0,
                           int K, const struct gemm_micro *micro)
{
    const int wide = micro->apart, tile = wide * GEMM_BLOCK;
    const int together = COPIES_BYTES / (tile * (int)sizeof *copies);
    if (!A.transposed) return along(copies, A, top(c, t, tiles), top(c, t + 1, tiles), k0, K);
    if (in_place(A, micro))
        return (struct rows){ GEMM_ACROSS, place(A, top(c, t, tiles), k0), A.ld };
    if (t % together == 0)
        copy_across(copies, A, c, t, t + together < tiles ? t + together : tiles, tiles, k0, K, wide);
    return (struct rows){ GEMM_ACROSS, copies + t % together * tile, wide };
}

/* A part of the next tile's rows comes into the cache while one is worked on. */
static void fetch(struct operand A, int n0, int n1, int k0, int K, int part, int parts)
{
    if (A.transposed || A.bf16) return;
    for (int n = n0 + (n1 - n0) * part / parts; n < n0 + (n1 - n0) * (part + 1) / parts; n++)
        for (int k = 0; k < K; k += (int)ALIGN_REALS) __builtin_prefetch(place(A, n, k0 + k), 0, 2);
}

/* A tile that sticks out of C: `wide` of its columns are there. */
static void narrow_tile(gemm_micro_fn *f, real *C, int64_t ldc, struct rows a, const real *b, int K,
                        int add, int n, int wide, int columns)
{
    _Alignas(ALIGN_BYTES) real own[GEMM_MICRO_ROWS * GEMM_MICRO_COLUMNS];
    f(own, columns, a.at, a.apart, b, K, 0);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < wide; j++) {
            const real s = own[i * columns + j];
            C[i * ldc + j] = add ? C[i * ldc + j] + s : s;
        }
}

/* A block of k, whose B is packed. */
static void add_block(const struct product *p, struct piece c, const real *b, int k, int K)
{
    const struct gemm_micro *micro = gemm_micro(isa_best());
    const int w = micro->columns, panels = ceil_of(c.m, w), tiles = ceil_of(c.n, micro->rows);
    _Alignas(ALIGN_BYTES) real copies[COPIES_BYTES / sizeof(real)];

    for (int t = 0; t < tiles; t++) {
        const int n0 = top(c, t, tiles), n1 = top(c, t + 1, tiles);
        const int next = t + 1 < tiles ? top(c, t + 2, tiles) : n1;
        const struct rows a = rows_of(copies, p->A, c, t, tiles, k, K, micro);
        gemm_micro_fn *f = micro->f[a.layout][n1 - n0 - 1];
        for (int j = 0; j < panels; j++) {
            real *C = p->C + n0 * p->ldc + c.m0 + j * w;
            const int wide = c.m - j * w, add = p->add || k > 0;
            fetch(p->A, n1, next, k, K, j, panels);
            if (wide >= w) f(C, p->ldc, a.at, a.apart, b + (int64_t)j * w * K, K, add);
            else narrow_tile(f, C, p->ldc, a, b + (int64_t)j * w * K, K, add, n1 - n0, wide, w);
        }
    }
}

static void multiply(const struct product *p, struct piece c)
{
    _Alignas(ALIGN_BYTES) real b[BLOCK_REALS];

    for (int k = 0; k == 0 || k < p->K; k += GEMM_BLOCK) {  /* of no k at all the sum is zero */
        const int K = p->K - k < GEMM_BLOCK ? p->K - k : GEMM_BLOCK;
        pack_block(b, p->B, k, K, c.m0, c.m, gemm_micro(isa_best())->columns);
        add_block(p, c, b, k, K);
    }
}

/* --- pieces ---------------------------------------------------------------- *
 *
 * How C is cut is no part of the result. */

/* Columns of a piece: half of the L2 cache may hold them for a block of k. */
static int widest(void)
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
    const long half = known / 2 < BLOCK_BYTES ? known / 2 : BLOCK_BYTES;
    return (int)(half / (GEMM_BLOCK * (long)sizeof(real))) / GEMM_MICRO_COLUMNS * GEMM_MICRO_COLUMNS;
}

void gemm_cut(int *down, int *across, int N, int M, int most, int threads)
{
    *down = ceil_of(N, most);
    *across = ceil_of(M, most);
    while (threads > 1) {
        const int pieces = *down * *across, n = N / *down, m = M / *across;
        if (pieces >= PIECES_PER_THREAD * threads &&
            (pieces % threads == 0 || pieces >= 4 * PIECES_PER_THREAD * threads)) return;
        if (n >= m && n > FEW) ++*down;
        else if (m > FEW) ++*across;
        else return;
    }
}

static void product(const struct product *p, int N, int M)
{
    int rows, cols;
    gemm_cut(&rows, &cols, N, M, widest(), omp_get_max_threads());
    const int n = ceil_of(N, rows), m = ceil_of(M, cols * GEMM_MICRO_COLUMNS) * GEMM_MICRO_COLUMNS;
    rows = ceil_of(N, n);
    cols = ceil_of(M, m);
    #pragma omp parallel for schedule(dynamic) collapse(2)
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < rows; r++)
            multiply(p, (struct piece){ r * n, N - r * n < n ? N - r * n : n,
                                        c * m, M - c * m < m ? M - c * m : m });
}

void gemm_nt(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, enum gemm_c c)
{
    const struct product p = { reals(A, lda, 0), reals(B, ldb, 0), C, ldc, K, c == GEMM_ADD };
    if (N > 0 && M > 0) product(&p, N, M);
}

void gemm_nn(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, enum gemm_c c)
{
    const struct product p = { reals(A, lda, 0), reals(B, ldb, 1), C, ldc, K, c == GEMM_ADD };
    if (N > 0 && M > 0) product(&p, N, M);
}

static void strips(const struct product *p, int N, int M)
{
    const int most = widest();
    for (int m = 0; m < M; m += most)
        multiply(p, (struct piece){ 0, N, m, M - m < most ? M - m : most });
}

void gemm_tile_bf16(real *C, int ldc, const bf16 *A, const bf16 *B, int64_t apart, int N, int M,
                    int K, enum gemm_c c)
{
    const struct product p = { { .bf16 = A, .ld = K }, { .bf16 = B, .ld = apart }, C, ldc, K,
                               c == GEMM_ADD };
    strips(&p, N, M);
}

void gemm_tile(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
               int N, int M, int K, enum gemm_c c)
{
    const struct product p = { reals(A, lda, ta == 'T'), reals(B, ldb, tb != 'T'), C, ldc, K,
                               c == GEMM_ADD };
    strips(&p, N, M);
}

CLONES
void gemm_ref(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
              int N, int M, int K, enum gemm_c how)
{
    for (int n = 0; n < N; n++)
        for (int m = 0; m < M; m++) {
            real *c = C + (int64_t)n * ldc + m;
            for (int k0 = 0; k0 == 0 || k0 < K; k0 += GEMM_BLOCK) {
                real s = 0;
                for (int k = k0; k < K && k < k0 + GEMM_BLOCK; k++)
                    s = vfma(ta == 'T' ? A[(int64_t)k * lda + n] : A[(int64_t)n * lda + k],
                             tb == 'T' ? B[(int64_t)m * ldb + k] : B[(int64_t)k * ldb + m], s);
                *c = how == GEMM_SET && k0 == 0 ? s : *c + s;
            }
        }
}
