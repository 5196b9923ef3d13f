/* SPDX-License-Identifier: Apache-2.0 */
/* test_gemm.c -- products against sums in double; and, to the last bit, against the three loops that
 * define them, whatever the shape, the layout, the threads and the instruction set. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm_bf16.h"
#include "src/kernels/gemm_micro.h"

/* A product whose rows are longer than what is used. */
static struct gemm product(int transpose_A, int transpose_B, int N, int M, int K, int extra)
{
    struct gemm p = { .transpose_A = transpose_A, .transpose_B = transpose_B,
                      .N = N, .M = M, .K = K, .lda = (transpose_A ? N : K) + extra,
                      .ldb = (transpose_B ? K : M) + extra, .ldc = M + 2 };
    p.A = noise((int64_t)(transpose_A ? K : N) * p.lda, 1);
    p.B = noise((int64_t)(transpose_B ? M : K) * p.ldb, 2);
    p.C = noise((int64_t)N * p.ldc, 3);
    return p;
}

static int64_t size(const struct gemm *p) { return (int64_t)p->N * p->ldc; }

/* What `multiply` makes of a copy of C. */
static real *result(void multiply(const struct gemm *), const struct gemm *p)
{
    struct gemm q = *p;
    q.C = copy(p->C, size(p));
    multiply(&q);
    return q.C;
}

static real *by_threads(const struct gemm *p, int threads)
{
    omp_set_num_threads(threads);
    return result(gemm, p);
}

/* Rows [n0, n0 + n) alone, at most to the last; into an array like C. */
static void some_rows(const struct gemm *p, real *C, int n0, int n)
{
    struct gemm q = *p;
    q.N = p->N - n0 < n ? p->N - n0 : n;
    q.A += (int64_t)n0 * p->lda;
    q.C = C + (int64_t)n0 * p->ldc;
    gemm(&q);
}

/* The definition itself. */
static void loops_are_the_sum(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct gemm j = product(i & 1, i / 2, 7, 9, 600, 3);
        for (j.add = 0; j.add < 2; j.add++) {
            double *want = widen(j.C, size(&j));
            for (int n = 0; n < j.N; n++)
                for (int m = 0; m < j.M; m++) {
                    double sum = j.add ? want[n * j.ldc + m] : 0;
                    for (int k = 0; k < j.K; k++)
                        sum += (double)j.A[j.transpose_A ? k * j.lda + n : n * j.lda + k] *
                               (double)j.B[j.transpose_B ? m * j.ldb + k : k * j.ldb + m];
                    want[n * j.ldc + m] = sum;
                }
            assert_close(result(gemm_ref, &j), want, size(&j), ULPS(20));
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
            for (int add = 0; add < 2; add++) {
                struct gemm j = product(i & 1, i / 2, shapes[s].N, shapes[s].M, shapes[s].K,
                                        shapes[s].extra);
                j.add = add;
                const real *want = result(gemm_ref, &j);
                assert_same(result(gemm_tile, &j), want, size(&j));
                for (int threads = 1; threads <= 5; threads++)
                    assert_same(by_threads(&j, threads), want, size(&j));
                if (j.K) {   /* the comparison can fail */
                    real *other = copy(j.A, (j.transpose_A ? j.K : j.N) * j.lda);
                    other[0] += 1;
                    j.A = other;
                    assert_other(result(gemm_tile, &j), want, size(&j));
                }
                release();
            }
}

/* Threads that make one product after another, and wait only where one needs another's C. */
static void products_in_one_region(void **state)
{
    (void)state;
    struct gemm a = product(0, 1, 77, 130, 300, 0), b = product(1, 0, 67, 515, 40, 3);
    struct gemm c = product(0, 0, 77, 60, 130, 0);
    const real *B = result(gemm_ref, &b);
    a.ldc = c.lda = a.M;
    real *a_C = zeros((int64_t)a.N * a.M);
    a.C = a_C;
    gemm_ref(&a);
    c.A = a_C;
    const real *C = result(gemm_ref, &c);
    for (int threads = 1; threads <= 5; threads++) {
        struct gemm x = a, y = b, z = c;
        z.A = x.C = zeros((int64_t)a.N * a.M);
        y.C = copy(b.C, size(&b));
        z.C = copy(c.C, size(&c));
        omp_set_num_threads(threads);
        #pragma omp parallel
        {
            gemm_team(&x);
            gemm_team(&y);
            #pragma omp barrier
            gemm_team(&z);
        }
        assert_same(x.C, a_C, (int64_t)a.N * a.M);
        assert_same(y.C, B, size(&b));
        assert_same(z.C, C, size(&c));
    }
    release();
}

/* Rows by themselves, inside and outside of parallel regions. */
static void rows_do_not_depend_on_others(void **state)
{
    (void)state;
    enum { N = 61, M = 130, K = 700 };
    for (int i = 0; i < 2; i++) {
        const struct gemm j = product(0, i, N, M, K, 5);
        const real *want = by_threads(&j, 2);
        for (int n = 1; n <= N; n += n < 20 ? 1 : 7) {
            real *C = copy(j.C, size(&j)), *D = copy(j.C, size(&j));
            for (int n0 = 0; n0 < N; n0 += n) some_rows(&j, C, n0, n);
            #pragma omp parallel for num_threads(3)
            for (int n0 = 0; n0 < N; n0 += n) some_rows(&j, D, n0, n);
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
                    const int lda = layout == GEMM_ALONG ? GEMM_MICRO_ROW : micro->rows;
                    real *a = noise((int64_t)(layout == GEMM_ALONG ? n : K) * lda, 1);
                    real *b = noise(K * w, 2), *C = noise(n * ldc, 3), *want = copy(C, n * ldc);
                    gemm_ref(&(struct gemm){
                        .C = want, .ldc = ldc, .A = a, .lda = lda, .B = b, .N = n, .M = w, .K = K,
                        .transpose_A = layout == GEMM_ACROSS, .add = add,
                    });
                    micro->f[layout][n - 1](C, ldc, a, b, K, add, b);
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
        for (int add = 0; add < 2; add++) {
            const int M = s[i].M, K = s[i].K;
            struct gemm j = product(0, 0, s[i].N, M, K, 0);
            real *A = copy(j.A, j.N * K), *B = copy(j.B, K * M), *C = copy(j.C, size(&j));
            bf16 *rows = hold(bf16_rows_size(j.N, K), sizeof *rows);
            bf16 *panels = hold(bf16_panels_size(K, M), sizeof *panels);
            bf16_rows(rows, A, K, j.N, K);
            bf16_panels(panels, B, M, K, M);
            for (int k = 0; k < j.N * K; k++) A[k] = (real)bf16_value((bf16)bf16_bits(A[k]));
            for (int k = 0; k < K * M; k++) B[k] = (real)bf16_value((bf16)bf16_bits(B[k]));
            j.A = A;
            j.B = B;
            j.add = add;
            gemm_widened(&(struct gemm_bf16){ .C = C, .ldc = j.ldc, .rows = rows, .panels = panels,
                                              .N = j.N, .M = M, .K = K, .add = add });
            assert_same(C, result(gemm_ref, &j), size(&j));
            release();
        }
}

/* Generation's row is the same sum in another order. */
static void a_row_is_near(void **state)
{
    (void)state;
    static const int s[][2] = { { 1, 1 }, { 70, 300 }, { 33, 64 }, { 130, 1000 } };
    for (int i = 0; i < 4; i++) {
        const struct gemm j = product(0, 1, 1, s[i][0], s[i][1], 0);
        real *y = zeros(j.M);
        gemm_row(y, j.A, j.B, j.M, j.K);
        assert_close(y, widen(result(gemm_ref, &j), j.M), j.M, ULPS(30));
        release();
    }
}

/* Pieces cover what there is, none is too large, and threads get equal shares. */
static void pieces_are_fair(void **state)
{
    (void)state;
    static const int sides[] = { 1, 63, 64, 192, 768, 1024, 2048, 5632, 32000 };
    static const int largest[][2] = { { 192, 192 }, { 2048, 480 } };
    for (int i = 0; i < 9 * 9 * 2; i++)
        for (int threads = 1; threads <= 64; threads++) {
            const int n = sides[i / 18], m = sides[i / 2 % 9], *most = largest[i % 2];
            int down, across;
            gemm_cut(&down, &across, n, m, most[0], most[1], threads);
            assert_true(down >= 1 && down <= n && across >= 1 && across <= m);
            assert_true((int64_t)down * most[0] >= n && (int64_t)across * most[1] >= m);
            if (n >= 1024 && m >= 1024) {
                const int pieces = down * across, each = (pieces + threads - 1) / threads;
                assert_true(pieces >= 0.75 * each * threads);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_are_the_sum),
        cmocka_unit_test(every_shape_has_the_same_bits),
        cmocka_unit_test(products_in_one_region),
        cmocka_unit_test(rows_do_not_depend_on_others),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(widened_is_the_product),
        cmocka_unit_test(a_row_is_near),
        cmocka_unit_test(pieces_are_fair),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
