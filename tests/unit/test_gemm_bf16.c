/* SPDX-License-Identifier: Apache-2.0 */
/* test_gemm_bf16.c -- rounding, layouts, and products of bf16 operands against sums in double of
 * the same rounded operands; equal bits however they are cut. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm_bf16.h"

/* What x becomes, by its definition: of the float it is, the nearer neighbour of 8 bits, the even
 * one of two. */
static double rounded(double x)
{
    x = (double)(float)x;
    if (x == 0 || !isfinite(x)) return x;
    int e;
    frexp(x, &e);
    return ldexp(rint(ldexp(x, 8 - e)), e - 8);
}

static void rounds_to_nearest(void **state)
{
    (void)state;
    const double ties[] = { 1 + 0x1p-8, 1 + 0x3p-8, -1 - 0x1p-8, 1 + 0x1p-8 + 0x1p-20, 0x1.fep127 };
    for (size_t i = 0; i < sizeof ties / sizeof *ties; i++)
        assert_true((double)bf16_value((bf16)bf16_bits((real)ties[i])) == rounded(ties[i]));
    real *x = noise(10000, 1);
    for (int i = 0; i < 10000; i++)
        assert_true((double)bf16_value((bf16)bf16_bits(x[i])) == rounded((double)x[i]));
    assert_true(isnan(bf16_value((bf16)bf16_bits((real)NAN))));
    assert_true(isinf(bf16_value((bf16)bf16_bits((real)INFINITY))));
    uint32_t all = 0x7fffffff;  /* a NaN that plain rounding would carry into -0 */
    float f;
    memcpy(&f, &all, sizeof f);
    assert_true(isnan(bf16_value((bf16)bf16_bits((real)f))));
    release();
}

static double at(const bf16 *panels, int K, int k, int n)
{
    return (double)bf16_value(panels[(((int64_t)(n / 64) * (bf16_inner(K) / 2) + k / 2) * 64 +
                                      n % 64) * 2 + k % 2]);
}

static void layouts(void **state)
{
    (void)state;
    static const int s[][2] = { { 1, 1 }, { 33, 67 }, { 64, 64 }, { 7, 129 }, { 100, 30 } };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        const int K = s[i][0], N = s[i][1];
        real *B = noise(K * N, 1);
        bf16 *p = hold(bf16_panels_size(K, N), sizeof *p);
        bf16 *t = hold(bf16_panels_size(N, K), sizeof *t);
        bf16 *r = hold(bf16_rows_size(K, N), sizeof *r);
        memset(p, 0xff, (size_t)bf16_panels_size(K, N) * sizeof *p);
        memset(t, 0xff, (size_t)bf16_panels_size(N, K) * sizeof *t);
        memset(r, 0xff, (size_t)bf16_rows_size(K, N) * sizeof *r);
        bf16_panels(p, B, N, K, N);
        bf16_panels_transposed(t, B, N, N, K);
        bf16_rows(r, B, N, K, N);
        bf16 *q = hold(bf16_panels_size(K, N), sizeof *q);
        memset(q, 0xff, (size_t)bf16_panels_size(K, N) * sizeof *q);
        bf16_panels_of_rows(q, r, K, N);
        assert_memory_equal(q, p, (size_t)bf16_panels_size(K, N) * sizeof *q);
        for (int k = 0; k < bf16_inner(K); k++)
            for (int n = 0; n < bf16_columns(N); n++) {
                const double want = k < K && n < N ? rounded((double)B[k * N + n]) : 0;
                assert_true(at(p, K, k, n) == want);
            }
        for (int k = 0; k < bf16_inner(N); k++)
            for (int n = 0; n < bf16_columns(K); n++) {
                const double want = k < N && n < K ? rounded((double)B[n * N + k]) : 0;
                assert_true(at(t, N, k, n) == want);
            }
        for (int64_t j = 0; j < bf16_rows_size(K, N); j++) {
            const int k = (int)(j / bf16_inner(N)), n = (int)(j % bf16_inner(N));
            assert_true((double)bf16_value(r[j]) ==
                        (k < K && n < N ? rounded((double)B[k * N + n]) : 0));
        }
        release();
    }
}

/* sum (N,M) of |x||b|, and the sum itself: what fp32 accumulation can lose is a part of it. */
static void assert_product(const real *C, int ldc, const real *add, const real *x, const real *b,
                           int N, int M, int K)
{
    for (int n = 0; n < N; n++)
        for (int m = 0; m < M; m++) {
            double sum = add ? (double)add[n * ldc + m] : 0, size = fabs(sum);
            for (int k = 0; k < K; k++) {
                const double t = rounded((double)x[n * K + k]) * rounded((double)b[k * M + m]);
                sum += t;
                size += fabs(t);
            }
            assert_true(fabs((double)C[n * ldc + m] - sum) <= 4 * sqrt(K + 4) * REAL_EPS * size);
        }
}

/* C (N,M) = or += X B, all of the panels. */
static void multiply(real *C, const bf16 *X, const bf16 *B, int N, int M, int K, int add)
{
    gemm_bf16(&(struct gemm_bf16){ .C = C, .rows = X, .panels = B, .N = N, .M = M, .K = K,
                                   .add = add });
}

static void products(void **state)
{
    (void)state;
    static const struct { int N, M, K; } s[] = {
        { 1, 1, 1 }, { 7, 67, 5 }, { 67, 7, 1 }, { 14, 300, 67 },
        { 520, 17, 33 }, { 3, 1, 400 }, { 256, 256, 64 }, { 65, 130, 4200 },
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        const int N = s[i].N, M = s[i].M, K = s[i].K, ldc = M + 2;
        real *x = noise(N * K, 1), *b = noise(K * M, 2), *C = noise(N * ldc, 3);
        real *add = copy(C, N * ldc), *y = zeros(M);
        bf16 *X = hold(bf16_rows_size(N, K), sizeof *X);
        bf16 *B = hold(bf16_panels_size(K, M), sizeof *B);
        bf16_rows(X, x, K, N, K);
        bf16_panels(B, b, M, K, M);
        struct gemm_bf16 p = { .C = C, .ldc = ldc, .rows = X, .panels = B, .N = N, .M = M, .K = K,
                               .add = 1 };
        gemm_bf16(&p);
        assert_product(C, ldc, add, x, b, N, M, K);
        p.add = 0;
        gemm_bf16(&p);
        assert_product(C, ldc, NULL, x, b, N, M, K);
        for (int n = 0; n < N; n++)
            assert_true(C[n * ldc + M] == add[n * ldc + M]);    /* beyond the row: untouched */
        for (int k = 0; k < K; k++) x[k] = (real)rounded((double)x[k]);
        gemm_bf16_row(y, x, B, M, K);
        assert_product(y, M, NULL, x, b, 1, M, K);
        C[0] += 1;
        assert_true(fabs((double)(C[0] - y[0])) > 0.5);
        release();
    }
}

/* Rows [k0, k0 + K) of the second operand. */
static void part_of_panels(void **state)
{
    (void)state;
    enum { N = 70, M = 300, K = 64, ALL = 197 };
    real *x = noise(N * K, 1), *b = noise(ALL * M, 2), *C = zeros(N * M);
    bf16 *X = hold(bf16_rows_size(N, K), sizeof *X), *B = hold(bf16_panels_size(ALL, M), sizeof *B);
    bf16_rows(X, x, K, N, K);
    bf16_panels(B, b, M, ALL, M);
    for (int k0 = 0; k0 + K <= ALL; k0 += 32) {
        gemm_bf16(&(struct gemm_bf16){ .C = C, .rows = X, .panels = B, .N = N, .M = M, .K = K,
                                       .k0 = k0, .panels_K = ALL });
        assert_product(C, M, NULL, x, b + k0 * M, N, M, K);
    }
    release();
}

/* dW (M,N) = dY' X, tile by tile. */
static void weight_gradients(void **state)
{
    (void)state;
    static const struct { int K, M, N; } s[] = { { 77, 165, 200 }, { 1, 1, 1 }, { 160, 64, 320 } };
    enum { SIDE = 128 };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        const int K = s[i].K, M = s[i].M, N = s[i].N, inner = bf16_inner(K);
        real *dy = noise(K * M, 1), *x = noise(K * N, 2), *C = zeros(M * N), *dyT = zeros(K * M);
        bf16 *dY = hold(bf16_rows_size(M, K), sizeof *dY), *X = hold(bf16_panels_size(K, N), 2);
        bf16 *rows = hold(bf16_rows_size(K, M), sizeof *rows);
        memset(dY, 0xff, (size_t)bf16_rows_size(M, K) * sizeof *dY);
        bf16_rows(rows, dy, M, K, M);
        bf16_transposed(dY, rows, K, M);
        bf16_panels(X, x, N, K, N);
        for (int k = 0; k < K; k++)
            for (int m = 0; m < M; m++) dyT[m * K + k] = dy[k * M + m];
        for (int64_t j = 0; j < bf16_rows_size(M, K); j++) {
            const int m = (int)(j / inner), k = (int)(j % inner);
            assert_true((double)bf16_value(dY[j]) ==
                        (m < M && k < K ? rounded((double)dyT[m * K + k]) : 0));
        }
        for (int pass = 0; pass < 2; pass++) {
            real *add = pass ? copy(C, M * N) : NULL;
            for (int m0 = 0; m0 < M; m0 += SIDE)
                for (int n0 = 0; n0 < N; n0 += SIDE)
                    gemm_bf16_tile(&(struct gemm_bf16){
                        .C = C + m0 * N + n0, .ldc = N, .rows = dY + (int64_t)m0 * inner,
                        .panels = X + (int64_t)n0 * inner, .N = M - m0 < SIDE ? M - m0 : SIDE,
                        .M = N - n0 < SIDE ? N - n0 : SIDE, .K = K, .add = pass,
                    });
            assert_product(C, N, add, dyT, x, M, N, K);
        }
        release();
    }
}

/* A unit's rows have the same bits alone and among others, a row alone and in a tile, for 1, 2
 * and 3 threads. */
static void same_for_units_of(int R)
{
    enum { UNITS = 3, M = 515, K = 1300 };
    const int N = R * UNITS;
    real *x = noise(N * K, 1), *b = noise(M * K, 2), *all = zeros(N * M), *C = zeros(N * M);
    bf16 *X = hold(bf16_rows_size(N, K), sizeof *X), *B = hold(bf16_panels_size(K, M), sizeof *B);
    bf16 *unit = hold(bf16_rows_size(R, K), sizeof *unit);
    bf16_rows(X, x, K, N, K);
    bf16_panels(B, b, M, K, M);
    omp_set_num_threads(1);
    multiply(all, X, B, N, M, K, 0);
    for (int t = 1; t <= 3; t++) {
        omp_set_num_threads(t);
        multiply(C, X, B, N, M, K, 0);
        assert_same(C, all, N * M);
        memset(C, 0, (size_t)(N * M) * sizeof *C);
        for (int u = 0; u < UNITS; u++) {
            bf16_rows(unit, x + u * R * K, K, R, K);
            multiply(C + u * R * M, unit, B, R, M, K, 0);
        }
        assert_same(C, all, N * M);
    }
    multiply(C, X, B, 3, M, K, 0);
    assert_same(C, all, 3 * M);
    x[0] += 1;
    bf16_rows(X, x, K, N, K);
    multiply(C, X, B, N, M, K, 0);       /* the comparison can fail */
    assert_other(C, all, N * M);
    release();
}

static void units_and_threads_change_no_bit(void **state)
{
    (void)state;
    same_for_units_of(259);
    same_for_units_of(77);
    same_for_units_of(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_to_nearest), cmocka_unit_test(layouts),
        cmocka_unit_test(products), cmocka_unit_test(part_of_panels),
        cmocka_unit_test(weight_gradients),
        cmocka_unit_test(units_and_threads_change_no_bit),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
