/* test_gemm.c -- products against three loops; equal bits however they are cut. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm.h"

/* want (N,M) = add + op(A) op(B); ta: A is (K,N), tb: B is (M,K). */
static double *triple_loop(const real *add, int ldc, int ta, const real *A, int lda, int tb,
                           const real *B, int ldb, int N, int M, int K)
{
    double *want = widen(add, (int64_t)N * ldc);
    for (int n = 0; n < N; n++)
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++)
                want[n * ldc + m] += (double)(ta ? A[k * lda + n] : A[n * lda + k]) *
                                     (double)(tb ? B[m * ldb + k] : B[k * ldb + m]);
    return want;
}

typedef void product(real *, int, const real *, int, const real *, int, int, int, int, int,
                     enum gemm_c);

static void agrees_with_three_loops(product *f, int tb, int N, int M, int K, int R)
{
    /* Rows are longer than what is used, and what is beyond must stay. */
    const int lda = K + 3, ldb = (tb ? K : M) + 1, ldc = M + 2;
    real *A = noise(N * lda, 1), *B = noise((tb ? M : K) * ldb, 2), *C = noise(N * ldc, 3);
    real *empty = copy(C, N * ldc);
    for (int n = 0; n < N; n++) memset(empty + n * ldc, 0, (size_t)M * sizeof *empty);

    double *sum = triple_loop(C, ldc, 0, A, lda, tb, B, ldb, N, M, K);
    double *plain = triple_loop(empty, ldc, 0, A, lda, tb, B, ldb, N, M, K);
    real *D = copy(C, N * ldc);
    f(C, ldc, A, lda, B, ldb, N, M, K, R, GEMM_ADD);
    assert_close(C, sum, N * ldc, ULPS(2 * sqrt(K) + 2));
    f(D, ldc, A, lda, B, ldb, N, M, K, R, GEMM_SET);
    assert_close(D, plain, N * ldc, ULPS(2 * sqrt(K) + 2));
    release();
}

static void products(void **state)
{
    (void)state;
    static const struct { int N, M, K, R; } s[] = {
        { 1, 1, 1, 1 }, { 7, 67, 5, 7 }, { 67, 7, 1, 67 }, { 14, 300, 67, 7 },
        { 520, 17, 33, 260 }, { 3, 1, 400, 1 },
    };
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        agrees_with_three_loops(gemm_nt, 1, s[i].N, s[i].M, s[i].K, s[i].R);
        agrees_with_three_loops(gemm_nn, 0, s[i].N, s[i].M, s[i].K, s[i].R);
    }
}

static void tiles(void **state)
{
    (void)state;
    enum { M = 67, N = 33, K = 7 };
    for (int i = 0; i < 4; i++) {
        const int ta = i & 1, tb = i >> 1, lda = ta ? M : K, ldb = tb ? K : N;
        real *A = noise(M * K, 1), *B = noise(K * N, 2), *C = noise(M * N, 3);
        double *want = triple_loop(C, N, ta, A, lda, tb, B, ldb, M, N, K);
        gemm_tile(ta ? 'T' : 'N', tb ? 'T' : 'N', C, N, A, lda, B, ldb, M, N, K, GEMM_ADD);
        assert_close(C, want, M * N, ULPS(8));
        release();
    }
}

/* A unit's rows have the same bits alone and among others, for 1, 2 and 3 threads, and also
 * when the caller is inside a parallel region of its own. */
static void same_for_units_of(int R)
{
    enum { UNITS = 3, M = 515, K = 129 };
    const int N = R * UNITS;
    product *const f[] = { gemm_nt, gemm_nn };
    for (int i = 0; i < 2; i++) {
        const int ldb = i ? M : K;
        real *A = noise(N * K, 1), *B = noise(M * K, 2), *all = zeros(N * M), *C = zeros(N * M);
        omp_set_num_threads(1);
        f[i](all, M, A, K, B, ldb, N, M, K, R, GEMM_SET);
        for (int t = 1; t <= 3; t++) {
            omp_set_num_threads(t);
            f[i](C, M, A, K, B, ldb, N, M, K, R, GEMM_SET);
            assert_same(C, all, N * M);
            memset(C, 0, (size_t)(N * M) * sizeof *C);
            for (int u = 0; u < UNITS; u++)
                f[i](C + u * R * M, M, A + u * R * K, K, B, ldb, R, M, K, R, GEMM_SET);
            assert_same(C, all, N * M);
        }
        memset(C, 0, (size_t)(N * M) * sizeof *C);
        #pragma omp parallel for num_threads(3)
        for (int u = 0; u < UNITS; u++)
            f[i](C + u * R * M, M, A + u * R * K, K, B, ldb, R, M, K, R, GEMM_SET);
        assert_same(C, all, N * M);
        A[0] += 1;
        f[i](C, M, A, K, B, ldb, N, M, K, R, GEMM_SET);       /* the comparison can fail */
        assert_other(C, all, N * M);
        release();
    }
}

static void units_and_threads_change_no_bit(void **state)
{
    (void)state;
    same_for_units_of(259);
    same_for_units_of(77);
    same_for_units_of(1);
}

/* One library call: its bits must not depend on whether the library could have used
 * threads (outside a region) or could not (inside). */
static void a_tile_is_single_threaded(void **state)
{
    (void)state;
    enum { M = 48, N = 16, K = 20000 };   /* a shape that is worth splitting the sum */
    real *A = noise(M * K, 1), *B = noise(N * K, 2), *out[4];
    for (int t = 1; t <= 3; t++) {
        out[t] = zeros(M * N);
        omp_set_num_threads(t);
        gemm_tile('N', 'T', out[t], N, A, K, B, K, M, N, K, GEMM_SET);
    }
    assert_same(out[1], out[2], M * N);
    assert_same(out[1], out[3], M * N);
    real *inside = zeros(M * N);
    #pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == 1)
        gemm_tile('N', 'T', inside, N, A, K, B, K, M, N, K, GEMM_SET);
    assert_same(out[1], inside, M * N);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(tiles),
        cmocka_unit_test(units_and_threads_change_no_bit),
        cmocka_unit_test(a_tile_is_single_threaded),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
