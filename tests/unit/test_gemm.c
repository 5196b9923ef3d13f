/* test_gemm.c -- products against sums in double; and, to the last bit, against the three loops that
 * define them, whatever the shape, the layout, the threads and the instruction set. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm_bf16.h"
#include "src/kernels/gemm_micro.h"

/* C (N,M) = op(A) op(B), with rows longer than what is used. */
struct job {
    char ta, tb;
    int N, M, K, lda, ldb, ldc;
    real *A, *B, *C;
};

static struct job job_of(char ta, char tb, int N, int M, int K, int extra)
{
    struct job j = { ta, tb, N, M, K, (ta == 'T' ? N : K) + extra, (tb == 'T' ? K : M) + extra,
                     M + 2, NULL, NULL, NULL };
    j.A = noise((int64_t)(ta == 'T' ? K : N) * j.lda, 1);
    j.B = noise((int64_t)(tb == 'T' ? M : K) * j.ldb, 2);
    j.C = noise((int64_t)N * j.ldc, 3);
    return j;
}

static int64_t size(const struct job *j) { return (int64_t)j->N * j->ldc; }

static real *by_definition(const struct job *j, enum gemm_c how)
{
    real *C = copy(j->C, size(j));
    gemm_ref(j->ta, j->tb, C, j->ldc, j->A, j->lda, j->B, j->ldb, j->N, j->M, j->K, how);
    return C;
}

static real *by_tile(const struct job *j, enum gemm_c how)
{
    real *C = copy(j->C, size(j));
    gemm_tile(j->ta, j->tb, C, j->ldc, j->A, j->lda, j->B, j->ldb, j->N, j->M, j->K, how);
    return C;
}

static void gemm(const struct job *j, real *C, int n0, int N, enum gemm_c how)
{
    (j->tb == 'T' ? gemm_nt : gemm_nn)(C, j->ldc, j->A + (int64_t)n0 * j->lda, j->lda, j->B,
                                       j->ldb, N, j->M, j->K, how);
}

static real *by_threads(const struct job *j, int threads, enum gemm_c how)
{
    real *C = copy(j->C, size(j));
    omp_set_num_threads(threads);
    gemm(j, C, 0, j->N, how);
    return C;
}

/* The definition itself. */
static void loops_are_the_sum(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct job j = job_of(i & 1 ? 'T' : 'N', i & 2 ? 'T' : 'N', 7, 9, 600, 3);
        for (int how = GEMM_SET; how <= GEMM_ADD; how++) {
            double *want = widen(j.C, size(&j));
            for (int n = 0; n < j.N; n++)
                for (int m = 0; m < j.M; m++) {
                    double sum = how == GEMM_ADD ? want[n * j.ldc + m] : 0;
                    for (int k = 0; k < j.K; k++)
                        sum += (double)j.A[j.ta == 'T' ? k * j.lda + n : n * j.lda + k] *
                               (double)j.B[j.tb == 'T' ? m * j.ldb + k : k * j.ldb + m];
                    want[n * j.ldc + m] = sum;
                }
            assert_close(by_definition(&j, (enum gemm_c)how), want, size(&j), ULPS(20));
        }
        release();
    }
}

/* Rows and columns of every remainder, sums shorter and longer than a block, and rows whose distance
 * is a high power of two, so that a transposed A is copied. */
static const struct { int N, M, K, extra; } shapes[] = {
    { 1, 1, 1, 0 }, { 1, 70, 300, 3 }, { 2, 33, 16, 0 }, { 3, 1, 400, 1 }, { 5, 7, 255, 0 },
    { 6, 16, 256, 0 }, { 7, 67, 5, 3 }, { 13, 31, 257, 0 }, { 14, 300, 67, 3 }, { 15, 64, 32, 0 },
    { 16, 48, 513, 0 }, { 29, 95, 130, 1 }, { 67, 7, 1, 3 }, { 77, 515, 129, 0 },
    { 520, 17, 33, 3 }, { 100, 600, 70, 3996 }, { 2048, 20, 40, 0 }, { 4, 4, 0, 1 },
};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)

static void every_shape_has_the_same_bits(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int i = 0; i < 4; i++)
            for (int how = GEMM_SET; how <= GEMM_ADD; how++) {
                const struct job j = job_of(i & 1 ? 'T' : 'N', i & 2 ? 'T' : 'N', shapes[s].N,
                                            shapes[s].M, shapes[s].K, shapes[s].extra);
                const real *want = by_definition(&j, (enum gemm_c)how);
                assert_same(by_tile(&j, (enum gemm_c)how), want, size(&j));
                for (int threads = 1; threads <= 5 && j.ta == 'N'; threads++)
                    assert_same(by_threads(&j, threads, (enum gemm_c)how), want, size(&j));
                if (j.K) {   /* the comparison can fail */
                    j.A[0] += 1;
                    assert_other(by_tile(&j, (enum gemm_c)how), want, size(&j));
                }
                release();
            }
}

/* Rows by themselves, inside and outside of parallel regions. */
static void rows_do_not_depend_on_others(void **state)
{
    (void)state;
    enum { N = 61, M = 130, K = 700 };
    for (int i = 0; i < 2; i++) {
        const struct job j = job_of('N', i ? 'T' : 'N', N, M, K, 5);
        const real *want = by_threads(&j, 2, GEMM_SET);
        for (int n = 1; n <= N; n += n < 20 ? 1 : 7) {
            real *C = copy(j.C, size(&j)), *D = copy(j.C, size(&j));
            for (int n0 = 0; n0 < N; n0 += n)
                gemm(&j, C + n0 * j.ldc, n0, N - n0 < n ? N - n0 : n, GEMM_SET);
            #pragma omp parallel for num_threads(3)
            for (int n0 = 0; n0 < N; n0 += n)
                gemm(&j, D + n0 * j.ldc, n0, N - n0 < n ? N - n0 : n, GEMM_SET);
            assert_same(C, want, size(&j));
            assert_same(D, want, size(&j));
        }
        release();
    }
}

/* The micro-kernels of every instruction set that the machine has, plain C among them. */
static void instruction_sets_agree(void **state)
{
    (void)state;
    enum { K = 201 };
    for (enum isa isa = ISA_PLAIN; isa <= isa_best(); isa++) {
        const struct gemm_micro *micro = gemm_micro(isa);
        const int w = micro->columns, ldc = w + 3;
        for (int n = 1; n <= micro->rows; n++)
            for (int layout = 0; layout < 2; layout++)
                for (int add = 0; add < 2; add++) {
                    const int lda = layout == GEMM_ALONG ? GEMM_MICRO_ROW : n + 5;
                    real *a = noise((int64_t)(layout == GEMM_ALONG ? n : K) * lda, 1);
                    real *b = noise(K * w, 2), *C = noise(n * ldc, 3), *want = copy(C, n * ldc);
                    gemm_ref(layout == GEMM_ALONG ? 'N' : 'T', 'N', want, ldc, a, lda, b, w, n, w,
                             K, add ? GEMM_ADD : GEMM_SET);
                    micro->f[layout][n - 1](C, ldc, a, lda, b, K, add);
                    assert_same(C, want, n * ldc);
                    release();
                }
    }
}

/* bf16 operands that are widened are the product of what they are. */
static void widened_is_the_product(void **state)
{
    (void)state;
    static const struct { int N, M, K; } s[] = { { 1, 1, 32 }, { 7, 67, 64 }, { 30, 200, 320 } };
    for (int i = 0; i < 3; i++)
        for (int how = GEMM_SET; how <= GEMM_ADD; how++) {
            const int M = s[i].M, K = s[i].K;
            struct job j = job_of('N', 'N', s[i].N, M, K, 0);
            bf16 *rows = hold(bf16_rows_size(j.N, K), sizeof *rows);
            bf16 *panels = hold(bf16_panels_size(K, M), sizeof *panels);
            bf16_rows(rows, j.A, K, j.N, K);
            bf16_panels(panels, j.B, M, K, M);
            for (int k = 0; k < j.N * K; k++) j.A[k] = (real)bf16_value((bf16)bf16_bits(j.A[k]));
            for (int k = 0; k < K * M; k++) j.B[k] = (real)bf16_value((bf16)bf16_bits(j.B[k]));
            real *C = copy(j.C, size(&j));
            gemm_tile_bf16(C, j.ldc, rows, panels, (int64_t)K * BF16_PANEL, j.N, M, K,
                           (enum gemm_c)how);
            assert_same(C, by_definition(&j, (enum gemm_c)how), size(&j));
            release();
        }
}

/* Generation's row is the same sum in another order. */
static void a_row_is_near(void **state)
{
    (void)state;
    static const int s[][2] = { { 1, 1 }, { 70, 300 }, { 33, 64 }, { 130, 1000 } };
    for (int i = 0; i < 4; i++) {
        const struct job j = job_of('N', 'T', 1, s[i][0], s[i][1], 0);
        real *y = zeros(j.M);
        gemm_row(y, j.A, j.B, j.M, j.K);
        assert_close(y, widen(by_definition(&j, GEMM_SET), j.M), j.M, ULPS(30));
        release();
    }
}

/* Pieces cover what there is, none is too large, and threads get equal shares. */
static void pieces_are_fair(void **state)
{
    (void)state;
    static const int sides[] = { 1, 63, 64, 192, 768, 1024, 2048, 5632, 32000 };
    for (int n = 0; n < 9; n++)
        for (int m = 0; m < 9; m++)
            for (int threads = 1; threads <= 64; threads++) {
                int down, across;
                gemm_cut(&down, &across, sides[n], sides[m], 192, threads);
                assert_true(down >= 1 && down <= sides[n] && across >= 1 && across <= sides[m]);
                assert_true((int64_t)down * 192 >= sides[n] && (int64_t)across * 192 >= sides[m]);
                if (sides[n] >= 1024 && sides[m] >= 1024) {
                    const int pieces = down * across, most = (pieces + threads - 1) / threads;
                    assert_true(pieces >= 0.75 * most * threads);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_are_the_sum),
        cmocka_unit_test(every_shape_has_the_same_bits),
        cmocka_unit_test(rows_do_not_depend_on_others),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(widened_is_the_product),
        cmocka_unit_test(a_row_is_near),
        cmocka_unit_test(pieces_are_fair),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
