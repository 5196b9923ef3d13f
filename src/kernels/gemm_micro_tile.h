/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_micro_tile.h -- the micro-kernels of one instruction set.  gemm_micro_x86.c includes this
 * once for each set, with VEC (a vector), LANES, VECTORS, ROWS, MOVE, TARGET, NAME(x) and the
 * operations LOAD, STORE, SPREAD, FMA, PLUS, ZERO defined; so there is no include guard.
 *
 * A tile is ROWS rows of VECTORS vectors: their sums stay in registers, and each k takes VECTORS
 * loads of b, ROWS broadcasts of a and ROWS VECTORS fused multiply-adds, enough of them in flight to
 * hide their latency (Goto and van de Geijn 2008).  The fewer loads for that, the better where
 * two threads share a core.  A panel of B has VECTORS LANES columns. */

#define WIDTH (VECTORS * LANES)
#define STEPS  4   /* of k in one turn of the loop: fewer instructions that are no FMA */
#define AHEAD 12   /* steps that b is fetched ahead: it comes from the L2 cache       */

/* One number k of all rows.  `rows` is a constant where this is inlined, so that sums stay in
 * registers. */
TARGET static inline __attribute__((always_inline)) void
NAME(step)(VEC c[ROWS][VECTORS], struct gemm_micro_rows a, const real *b, int k, int rows)
{
    const real *now = b + k * WIDTH;
    VEC panel[VECTORS];
    for (int j = 0; j < WIDTH; j += (int)ALIGN_REALS) __builtin_prefetch(now + AHEAD * WIDTH + j);
    UNROLL(4)
    for (int v = 0; v < VECTORS; v++) panel[v] = LOAD(now + v * LANES);
    UNROLL(16)
    for (int i = 0; i < rows; i++) {
        const VEC x = SPREAD(a.at[i * a.down + k * a.along]);
        UNROLL(4)
        for (int v = 0; v < VECTORS; v++) FMA(c[i][v], x, panel[v]);
    }
}

TARGET static inline __attribute__((always_inline)) void
NAME(tile)(real *C, int64_t ldc, struct gemm_micro_rows a, const real *b, int K, int add,
           const real *next, int rows)
{
    VEC c[ROWS][VECTORS];
    int k = 0;
    UNROLL(16)
    for (int i = 0; i < rows; i++)
        UNROLL(4)
        for (int v = 0; v < VECTORS; v++) c[i][v] = ZERO();
    for (; k + STEPS <= K; k += STEPS) {
        /* First C, which is often far away: a row at a time. */
        const real *far = k < rows * STEPS ? C + k / STEPS * ldc : next + k - rows * STEPS;
        for (int j = 0; j < WIDTH; j += (int)ALIGN_REALS) __builtin_prefetch(far + j);
        UNROLL(4)
        for (int q = 0; q < STEPS; q++) NAME(step)(c, a, b, k + q, rows);
    }
    for (; k < K; k++) NAME(step)(c, a, b, k, rows);
    UNROLL(16)
    for (int i = 0; i < rows; i++) {
        UNROLL(4)
        for (int v = 0; v < VECTORS; v++) {
            real *y = C + i * ldc + v * LANES;
            STORE(y, add ? PLUS(LOAD(y), c[i][v]) : c[i][v]);
        }
    }
}

#define TILES(n)                                                                             \
    TARGET static void NAME(along_##n)(real *C, int64_t ldc, const real *a, const real *b,    \
                                       int K, int add, const real *next)                     \
    { NAME(tile)(C, ldc, (struct gemm_micro_rows){ a, GEMM_MICRO_ROW, 1 }, b, K, add, next,  \
                 n); }                                                                       \
    TARGET static void NAME(across_##n)(real *C, int64_t ldc, const real *a, const real *b,   \
                                        int K, int add, const real *next)                    \
    { NAME(tile)(C, ldc, (struct gemm_micro_rows){ a, 1, ROWS }, b, K, add, next, n); }

TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if ROWS > 6
TILES(7) TILES(8) TILES(9)
#endif

static const struct gemm_micro NAME(micro) = {
    .rows = ROWS, .columns = WIDTH, .move = MOVE,
    .f = { [GEMM_ALONG] = { NAME(along_1), NAME(along_2), NAME(along_3), NAME(along_4),
                            NAME(along_5), NAME(along_6),
#if ROWS > 6
                            NAME(along_7), NAME(along_8), NAME(along_9),
#endif
           },
           [GEMM_ACROSS] = { NAME(across_1), NAME(across_2), NAME(across_3), NAME(across_4),
                             NAME(across_5), NAME(across_6),
#if ROWS > 6
                             NAME(across_7), NAME(across_8), NAME(across_9),
#endif
           } },
};

#undef TILES
#undef STEPS
#undef AHEAD
#undef VEC
#undef VECTORS
#undef WIDTH
#undef LANES
#undef ROWS
#undef MOVE
#undef TARGET
#undef NAME
#undef LOAD
#undef STORE
#undef SPREAD
#undef PLUS
#undef ZERO
