/* gemm_micro_tile.h -- the micro-kernels of one instruction set.  gemm_micro_x86.c includes this
 * once for each set, with VEC (a vector), LANES, ROWS, APART, IN_PLACE, TARGET, NAME(x) and the
 * operations LOAD, STORE, SPREAD, FMA, PLUS, ZERO defined; so there is no include guard.
 *
 * A tile is ROWS rows of two vectors: 2 ROWS sums stay in registers, and each k takes two loads of
 * b, ROWS broadcasts of a and 2 ROWS fused multiply-adds, enough of them in flight to hide their
 * latency (Goto and van de Geijn 2008).  A panel of B has 2 LANES columns. */

/* `rows` is a constant where this is inlined, so that sums stay in registers. */
TARGET static inline __attribute__((always_inline)) void
NAME(tile)(real *C, int64_t ldc, struct gemm_micro_rows a, const real *b, int K, int add, int rows)
{
    VEC c[ROWS][2];
    #pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(C + i * ldc, 1);
        __builtin_prefetch(C + i * ldc + LANES, 1);
        c[i][0] = c[i][1] = ZERO();
    }
    for (int k = 0; k < K; k++) {
        const VEC b0 = LOAD(b + k * 2 * LANES), b1 = LOAD(b + k * 2 * LANES + LANES);
        #pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const VEC x = SPREAD(a.at[i * a.down + k * a.along]);
            c[i][0] = FMA(x, b0, c[i][0]);
            c[i][1] = FMA(x, b1, c[i][1]);
        }
    }
    #pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        real *y = C + i * ldc;
        STORE(y, add ? PLUS(LOAD(y), c[i][0]) : c[i][0]);
        STORE(y + LANES, add ? PLUS(LOAD(y + LANES), c[i][1]) : c[i][1]);
    }
}

#define TILES(n)                                                                             \
    TARGET static void NAME(along_##n)(real *C, int64_t ldc, const real *a, int64_t apart,    \
                                       const real *b, int K, int add)                        \
    {                                                                                        \
        (void)apart;                                                                         \
        NAME(tile)(C, ldc, (struct gemm_micro_rows){ a, GEMM_MICRO_ROW, 1 }, b, K, add, n);  \
    }                                                                                        \
    TARGET static void NAME(across_##n)(real *C, int64_t ldc, const real *a, int64_t apart,  \
                                        const real *b, int K, int add)                       \
    { NAME(tile)(C, ldc, (struct gemm_micro_rows){ a, 1, apart }, b, K, add, n); }

TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if ROWS > 6
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
#endif

static const struct gemm_micro NAME(micro) = {
    .rows = ROWS, .columns = 2 * LANES, .apart = APART, .in_place = IN_PLACE,
    .f = { [GEMM_ALONG] = { NAME(along_1), NAME(along_2), NAME(along_3), NAME(along_4),
                            NAME(along_5), NAME(along_6),
#if ROWS > 6
                            NAME(along_7), NAME(along_8), NAME(along_9), NAME(along_10),
                            NAME(along_11), NAME(along_12), NAME(along_13), NAME(along_14),
#endif
           },
           [GEMM_ACROSS] = { NAME(across_1), NAME(across_2), NAME(across_3), NAME(across_4),
                             NAME(across_5), NAME(across_6),
#if ROWS > 6
                             NAME(across_7), NAME(across_8), NAME(across_9), NAME(across_10),
                             NAME(across_11), NAME(across_12), NAME(across_13), NAME(across_14),
#endif
           } },
};

#undef TILES
#undef VEC
#undef LANES
#undef ROWS
#undef APART
#undef IN_PLACE
#undef TARGET
#undef NAME
#undef LOAD
#undef STORE
#undef SPREAD
#undef FMA
#undef PLUS
#undef ZERO
