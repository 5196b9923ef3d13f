/* Products of small matrices against plain C, in every form that the inner loop uses. */
#include "src/kernels/smm.h"
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

/* want (M,N) = before + left right, by the reference. */
static real *product(const real *before, const real *left, const real *right, struct shape s)
{
    real *want = before ? copy(before, s.M * s.N) : zeros(s.M * s.N);
    smm_ref(want, left, right, s.M, s.N, s.K, 1);
    return want;
}

static void products_match_plain_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape s = shapes[i];
        const int MN = s.M * s.N;
        const real *left = noise(s.M * s.K, 1), *right = noise(s.K * s.N, 2);
        const real *before = noise(MN, 3);
        real *got = copy(before, MN), *row = noise(s.N, 4);
        smm(got, left, right, s.M, s.N, s.K, 1);
        near(got, product(before, left, right, s), MN, s.K);
        smm(got, left, right, s.M, s.N, s.K, 0);
        near(got, product(NULL, left, right, s), MN, s.K);
        smm_row(row, left, right, s.N, s.K, 0);
        near(row, got, s.N, s.K);
        release();
    }
}

static void transposed_left_operands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape s = shapes[i];
        const int MN = s.M * s.N;
        const real *left = noise(s.M * s.K, 1), *right = noise(s.K * s.N, 2);
        const real *before = noise(MN, 3);
        real *left_t = zeros(s.M * s.K), *got = noise(MN, 4), *added = copy(before, MN);
        smm_transpose(left_t, left, s.M, s.K);
        smm_tn_from(got, before, left_t, right, s.M, s.N, s.K);
        near(got, product(before, left, right, s), MN, s.K);
        smm_tn(added, left_t, right, s.M, s.N, s.K, 1);
        near(added, got, MN, s.K);
        smm_tn(got, left_t, right, s.M, s.N, s.K, 0);
        near(got, product(NULL, left, right, s), MN, s.K);
        release();
    }
}

static void transposes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int M = shapes[i].M, K = shapes[i].K, n = M * K;
        const real *x = noise(n, 1), *before = noise(n, 2);
        real *t = zeros(n), *sum = copy(before, n), *times = zeros(n), *in_place = copy(before, n);
        smm_transpose(t, x, M, K);
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++) assert_true(t[k * M + m] == x[m * K + k]);
        smm_transpose_add(sum, x, M, K);
        smm_transpose_times(times, x, before, M, K);
        smm_transpose_times(in_place, x, in_place, M, K);
        for (int j = 0; j < n; j++) {
            assert_true(sum[j] == before[j] + t[j]);
            assert_true(times[j] == before[j] * t[j] && in_place[j] == times[j]);
        }
        release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_plain_c),
        cmocka_unit_test(transposed_left_operands),
        cmocka_unit_test(transposes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
