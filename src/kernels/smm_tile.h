/* SPDX-License-Identifier: Apache-2.0 */
/* smm_tile.h -- a strip of columns of a sum of small products (smm.h) for one instruction set.
 * smm_x86.c includes this once for each set, with VEC (a vector), MASK, LANES, ACROSS, ROWS,
 * NARROW_ROWS, TARGET, NAME(x) and the operations LOAD, STORE, PART, LOAD_PART, STORE_PART, SPREAD,
 * FMA, ZERO defined; so there is no include guard.
 *
 * A wide strip has ACROSS vectors of columns, a narrow one a single vector, of which only some
 * columns may be there.  Tiles of ROWS or NARROW_ROWS rows of it, and a lower one at the end, stay
 * in registers from the first term to the last. */

/* One number k of a term: row i of A has a_i there, B has b on. */
#define STEP(a_i) do {                                                                        \
        VEC y[ACROSS];                                                                        \
        UNROLL(4)                                                                             \
        for (int j = 0; j < wide; j++)                                                        \
            y[j] = wide == 1 ? LOAD_PART(b, part) : LOAD(b + j * LANES);                      \
        UNROLL(16)                                                                            \
        for (int i = 0; i < rows; i++) {                                                      \
            const VEC x = SPREAD(a_i);                                                        \
            UNROLL(4)                                                                         \
            for (int j = 0; j < wide; j++) c[i][j] = FMA(x, y[j], c[i][j]);                   \
        }                                                                                     \
    } while (0)

/* The tile from row m and column n on.  `rows` and `wide` are constants where this is inlined; the
 * struct, passed by value, becomes registers. */
TARGET static inline __attribute__((always_inline)) void
NAME(tile)(struct smm_sum s, int64_t m, int64_t n, MASK part, int rows, int wide)
{
    const int64_t ldc = s.ldc, ldfrom = s.ldfrom;
    const real *from = s.from ? s.from + m * ldfrom + n : NULL;
    real *C = s.C + m * ldc + n;
    VEC c[NARROW_ROWS][ACROSS];
    UNROLL(16)
    for (int i = 0; i < rows; i++)
        UNROLL(4)
        for (int j = 0; j < wide; j++)
            c[i][j] = !from ? ZERO() : wide == 1 ? LOAD_PART(from + i * ldfrom, part)
                                                 : LOAD(from + i * ldfrom + j * LANES);
    for (const struct smm_term *t = s.terms; t < s.terms + s.n; t++) {
        const int64_t lda = t->lda, ldb = t->ldb;
        int64_t K = t->K;
        const real *b = t->B + n, *at = t->A;
        if (t->transposed) {
            at += m;
            if (t->lower) at += m * lda, b += m * ldb, K -= m;
            UNROLL(4)
            for (int64_t k = 0; k < K; k++, at += lda, b += ldb) STEP(at[i]);
        } else {
            const real *a[NARROW_ROWS];
            at += m * lda;
            if (t->lower && m + rows < K) K = m + rows;
            UNROLL(16)
            for (int i = 0; i < rows; i++) a[i] = at + i * lda;
            UNROLL(4)
            for (int64_t k = 0; k < K; k++, b += ldb) STEP(a[i][k]);
        }
    }
    UNROLL(16)
    for (int i = 0; i < rows; i++)
        UNROLL(4)
        for (int j = 0; j < wide; j++) {
            if (wide == 1) STORE_PART(C + i * ldc, part, c[i][j]);
            else STORE(C + i * ldc + j * LANES, c[i][j]);
        }
}

#undef STEP

#define REST(rows, wide) case rows: NAME(tile)(*s, m, n, part, rows, wide); break;

TARGET static void NAME(wide)(const struct smm_sum *s, int n)
{
    const MASK part = PART(LANES);
    int m = 0;
    for (; m + ROWS <= s->M; m += ROWS) NAME(tile)(*s, m, n, part, ROWS, ACROSS);
    switch (s->M - m) {
    REST(1, ACROSS) REST(2, ACROSS) REST(3, ACROSS) REST(4, ACROSS) REST(5, ACROSS)
    }
}

TARGET static void NAME(narrow)(const struct smm_sum *s, int n)
{
    const MASK part = PART(s->N - n < LANES ? s->N - n : LANES);
    int m = 0;
    for (; m + NARROW_ROWS <= s->M; m += NARROW_ROWS)
        NAME(tile)(*s, m, n, part, NARROW_ROWS, 1);
    switch (s->M - m) {
    REST(1, 1) REST(2, 1) REST(3, 1) REST(4, 1) REST(5, 1)
#if NARROW_ROWS > 6
    REST(6, 1) REST(7, 1) REST(8, 1) REST(9, 1) REST(10, 1) REST(11, 1)
#endif
    }
}

TARGET static void NAME(sum)(const struct smm_sum *s)
{
    int n = 0;
    for (; n + ACROSS * LANES <= s->N; n += ACROSS * LANES) NAME(wide)(s, n);
    for (; n < s->N; n += LANES) NAME(narrow)(s, n);
}

#undef REST
#undef VEC
#undef MASK
#undef LANES
#undef ACROSS
#undef ROWS
#undef NARROW_ROWS
#undef TARGET
#undef NAME
#undef LOAD
#undef STORE
#undef PART
#undef LOAD_PART
#undef STORE_PART
#undef SPREAD
#undef FMA
#undef ZERO
