/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loop with bf16 operands: words against plain C, then mini-batches against the same with
 * fp32 operands. */
#include "src/kernels/bf16.h"
#include "src/kernels/smm_bf16.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"
#include "tests/unit/inner_case.h"

/* Half `high` of a word is x[at], rounded, or zero if there is none. */
static void check_word(bf16_word w, int high, const real *x, int64_t at, int there)
{
    const bf16 got = (bf16)(high ? w >> 16 : w);
    assert_int_equal(got, there ? (bf16)bf16_bits(x[at]) : 0);
}

static void words_are_rounded_numbers(void **state)
{
    (void)state;
    static const int shapes[][2] = { { 64, 256 }, { 16, 64 }, { 2, 32 }, { 7, 19 }, { 1, 1 },
                                     { 33, 6 }, { 4, 70 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int K = shapes[s][0], N = shapes[s][1], across = bf16_words(N);
        real *x = noise((int64_t)K * N, 1);
        bf16_word *rows = hold((int64_t)K * across, sizeof *rows);
        bf16_word *columns = hold((int64_t)bf16_words(K) * N, sizeof *columns);
        bf16_word *transposed = hold((int64_t)K * across, sizeof *transposed);
        bf16_word *work = hold((int64_t)K * across, sizeof *work);
        for (int both = 0; both < 2; both++) {
            if (both) {
                smm_bf16_both(rows, columns, x, K, N);
            } else {
                smm_bf16_rows(rows, x, K, N);
                smm_bf16_columns(columns, x, K, N);
            }
            smm_bf16_columns_transposed(transposed, x, K, N, work);
            for (int64_t i = 0; i < (int64_t)K * across; i++) {
                const int64_t k = i / across, n = i % across * 2;
                const bf16_word t = transposed[n / 2 * K + k];
                assert_int_equal(t, rows[i]);
                check_word(rows[i], 0, x, k * N + n, 1);
                check_word(rows[i], 1, x, k * N + n + 1, n + 1 < N);
            }
            for (int64_t i = 0; i < (int64_t)bf16_words(K) * N; i++) {
                const int64_t k = i / N * 2, n = i % N;
                check_word(columns[i], 0, x, k * N + n, 1);
                check_word(columns[i], 1, x, (k + 1) * N + n, k + 1 < K);
            }
            memset(rows, 0, (size_t)K * (size_t)across * sizeof *rows);
        }
        release();
    }
}

/* Products of rounded numbers are exact in fp32: only their sums round, K of them. */
static void products_match_plain_c(void **state)
{
    (void)state;
    static const int shapes[][3] = { { 16, 256, 64 }, { 16, 64, 256 }, { 256, 16, 64 },
                                     { 64, 16, 256 }, { 64, 256, 48 }, { 5, 70, 7 }, { 17, 16, 3 },
                                     { 1, 1, 1 }, { 20, 130, 33 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int how = 0; how < 4; how++) {
            const int M = shapes[s][0], N = shapes[s][1], K = shapes[s][2];
            const int transposed = how & 1, add = how >> 1;
            real *A = noise((int64_t)M * K, 1), *B = noise((int64_t)K * N, 2);
            real *C = noise((int64_t)M * N, 3), *R = noise((int64_t)M * N, 3);
            real *D = noise((int64_t)M * N, 3);
            bf16_word *a = hold((int64_t)(M + 1) * (K + 1), sizeof *a);
            bf16_word *b = hold((int64_t)(K + 1) * N, sizeof *b);
            if (transposed) smm_bf16_columns(a, A, K, M);
            else smm_bf16_rows(a, A, M, K);
            smm_bf16_columns(b, B, K, N);
            const struct bf16_left left =
                transposed ? bf16_left_transposed(a, M) : bf16_left_rows(a, bf16_words(K));
            smm_bf16(C, add ? C : NULL, left, b, M, N, K);
            smm_bf16_ref(R, add ? D : NULL, left, b, M, N, K);
            for (int m = 0; m < M; m++)
                for (int n = 0; n < N; n++) {
                    double sum = add ? (double)D[m * N + n] : 0, size = fabs(sum);
                    for (int k = 0; k < K; k++) {
                        const real p = A[transposed ? k * M + m : m * K + k], q = B[k * N + n];
                        const double pq = (double)bf16_value((bf16)bf16_bits(p)) *
                                          (double)bf16_value((bf16)bf16_bits(q));
                        sum += pq;
                        size += fabs(pq);
                    }
                    assert_true(fabs((double)C[m * N + n] - sum) <= (K + 1) * REAL_EPS * size);
                    assert_true(fabs((double)R[m * N + n] - sum) <= (K + 1) * REAL_EPS * size);
                }
            release();
        }
}

/* |x - y| / |y| over all elements. */
static double distance(const real *x, const real *y, int64_t n)
{
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += pow((double)x[i] - (double)y[i], 2);
        size += pow((double)y[i], 2);
    }
    return sqrt(off / size);
}

/* The same numbers whatever the precision, and inner rates that are small enough for bf16. */
static struct inner_outcome run(const struct inner *f, int r, int F, int in_bf16, int complete)
{
    struct inner_case c = inner_case(f, r, F);
    for (int i = 0; i < r; i++) c.rates[i] *= (real)0.1;
    c.in.bf16 = in_bf16;
    c.in.complete = complete;
    return inner_outcome(&c);
}

/* Near what fp32 operands give, and not the same: rounding is 2^-9, and gradients amplify it. */
static void mini_batches_are_near_fp32(void **state)
{
    (void)state;
    static const int shapes[][2] = { { 16, 64 }, { 5, 18 }, { 1, 8 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int i = 0; i < 4; i++) {
            const struct inner *f = i / 2 ? &ttt_mlp : &ttt_linear;
            const int r = shapes[s][0], F = shapes[s][1], complete = i % 2;
            const int64_t S = inner_reals(f, r, F).state;
            const struct inner_outcome a = run(f, r, F, 1, complete), b = run(f, r, F, 0, complete);
            const double off[] = {
                distance(a.O, b.O, (int64_t)r * F), distance(a.igrad, b.igrad, S),
                distance(a.all_grads, b.all_grads, a.n_grads), distance(a.dstate, b.dstate, S),
                complete ? distance(a.next, b.next, S) : 1e-3,
            };
            for (size_t k = 0; k < sizeof off / sizeof *off; k++)
                assert_true(off[k] > 1e-6 && off[k] < 0.03);
            release();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_rounded_numbers),
        cmocka_unit_test(products_match_plain_c),
        cmocka_unit_test(mini_batches_are_near_fp32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
