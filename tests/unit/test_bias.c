/* SPDX-License-Identifier: Apache-2.0 */
/* Biases: rows plus a row, sums of columns; threads change no bit. */
#include "tests/unit/numeric.h"

#include "src/kernels/bias.h"

static const struct { int N, M; } shapes[] = { { 1, 1 }, { 7, 3 }, { 67, 96 }, { 300, 1030 } };

static void rows_and_columns(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const int N = shapes[k].N, M = shapes[k].M;
        const real *x = noise((int64_t)N * M, 1), *b = noise(M, 2);
        real *y = copy(x, (int64_t)N * M), *db = noise(M, 3), *again = zeros(M);
        double *want = hold((int64_t)N * M, sizeof *want), *sum = hold(M, sizeof *sum);

        for (int n = 0; n < N; n++)
            for (int m = 0; m < M; m++) {
                want[(int64_t)n * M + m] = (double)x[(int64_t)n * M + m] + (double)b[m];
                sum[m] += (double)x[(int64_t)n * M + m];
            }
        bias_forward(y, b, N, M);
        assert_close(y, want, (int64_t)N * M, ULPS(2));
        omp_set_num_threads(1);
        bias_backward(db, x, N, M);
        assert_close(db, sum, M, ULPS(16));
        for (int threads = 2; threads <= 5; threads++) {
            omp_set_num_threads(threads);
            bias_backward(again, x, N, M);
            assert_same(again, db, M);
        }
        again[M - 1] += (real)1e-3;  /* the comparison can fail */
        assert_other(again, db, M);
        omp_set_num_threads(before);
        release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_and_columns) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
