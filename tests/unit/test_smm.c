/* SPDX-License-Identifier: Apache-2.0 */
/* Products of small matrices against their definition, to the bit, in every form in use. */
#include "src/kernels/smm.h"
#include "src/kernels/vecmath.h"
#include "tests/unit/numeric.h"

struct shape { int M, N, K; };

static const struct shape shapes[] = { { 16, 64, 64 }, { 64, 64, 16 }, { 16, 16, 64 }, { 1, 6, 6 },
                                       { 13, 96, 96 }, { 7, 67, 3 }, { 64, 16, 64 }, { 3, 1, 5 } };

/* Two results of K products each. */
static void near(const real *got, const real *want, int n, int K)
{
    for (int i = 0; i < n; i++)
        assert_true(fabs((double)(got[i] - want[i])) < 80 * REAL_EPS * sqrt(K));
}

static struct smm_term term(const real *A, const real *B, struct shape s, int transposed)
{
    return (struct smm_term){ A, B, s.K, transposed ? s.M : s.K, s.N, transposed, 0 };
}

/* One chain of fused multiply-adds, whatever tiles a processor has: bits, not digits.  A tail of
 * rows or columns that is left out shows. */
static void products_are_their_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape s = shapes[i];
        const int MN = s.M * s.N;
        const real *A = noise(s.M * s.K, 1), *B = noise(s.K * s.N, 2), *before = noise(MN, 3);
        real *got = copy(before, MN), *want = zeros(MN), *row = noise(s.N, 4);
        smm(got, A, B, s.M, s.N, s.K, 1);
        for (int m = 0; m < s.M; m++)
            for (int n = 0; n < s.N; n++) {
                real c = before[m * s.N + n];
                for (int k = 0; k < s.K; k++) c = vfma(A[m * s.K + k], B[k * s.N + n], c);
                want[m * s.N + n] = c;
            }
        assert_same(got, want, MN);
        smm_ref(got, A, B, s.M, s.N, s.K, 0);
        smm(want, A, B, s.M, s.N, s.K, 0);
        assert_same(got, want, MN);
        smm_row(row, A, B, s.N, s.K, 0);
        near(row, got, s.N, s.K);
        release();
    }
}

/* Several terms, stored both ways, added to one row or to a matrix, in parts of wider arrays;
 * everything around C stays. */
static void sums_of_products(void **state)
{
    (void)state;
    enum { WIDER = 3 };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int ldfrom = 0; ldfrom < 2; ldfrom++) {
            const struct shape s = shapes[i];
            const int ld = s.N + WIDER;
            const int all = s.M * ld;
            const real *A = noise(s.M * s.K, 1), *B = noise(s.K * s.N, 2);
            const real *turned = noise(s.M * s.K, 3);
            const struct smm_term terms[] = { term(A, B, s, 0), term(turned, B, s, 1),
                                              term(A, B, s, 0) };
            real *got = noise(all, 5), *want = copy(got, all), *wrong = copy(got, all);
            struct smm_sum sum = { got, noise(all, 4), s.M, s.N, ld, ldfrom * ld, terms, 3 };
            smm_sum(&sum);
            sum.C = want;
            smm_sum_ref(&sum);
            assert_same(got, want, all);
            sum.C = wrong;
            sum.n = 2;
            smm_sum(&sum);
            assert_other(got, wrong, all);
            release();
        }
}

/* Zeros above the diagonal may be left out. */
static void lower_triangles(void **state)
{
    (void)state;
    static const int sizes[] = { 1, 5, 16, 23, 64 };
    enum { N = 70 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int transposed = 0; transposed < 2; transposed++) {
            const int r = sizes[i];
            real *A = noise(r * r, 1), *got = zeros(r * N), *want = zeros(r * N);
            const real *B = noise(r * N, 2);
            struct smm_term t = { A, B, r, r, N, transposed, 0 };
            for (int m = 0; m < r; m++)
                for (int k = m + 1; k < r; k++) A[m * r + k] = 0;
            smm_sum(&(struct smm_sum){ want, NULL, r, N, N, 0, &t, 1 });
            t.lower = 1;
            smm_sum(&(struct smm_sum){ got, NULL, r, N, N, 0, &t, 1 });
            assert_same(got, want, r * N);
            smm_sum_ref(&(struct smm_sum){ got, NULL, r, N, N, 0, &t, 1 });
            assert_same(got, want, r * N);
            release();
        }
}

static void transposes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int M = shapes[i].M, K = shapes[i].K, n = M * K;
        const real *x = noise(n, 1), *before = noise(n, 2);
        real *t = zeros(n), *sum = copy(before, n);
        smm_transpose(t, x, M, K);
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++) assert_true(t[k * M + m] == x[m * K + k]);
        smm_transpose_add(sum, x, M, K);
        for (int j = 0; j < n; j++) assert_true(sum[j] == before[j] + t[j]);
        release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_their_definition),
        cmocka_unit_test(sums_of_products),
        cmocka_unit_test(lower_triangles),
        cmocka_unit_test(transposes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
