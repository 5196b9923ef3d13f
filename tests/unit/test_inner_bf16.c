/* The inner loop with bf16 operands: words against plain C, then mini-batches against the same with
 * fp32 operands. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/kernels/bf16.h"
#include "src/kernels/smm_bf16.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"

static real *noise(int64_t n, uint64_t seed, double scale)
{
    real *x = mem_new(n, sizeof *x, "test");
    const uint64_t key = rng_key(seed, "noise");
    for (int64_t i = 0; i < n; i++) x[i] = (real)(scale * rng_normal(key, (uint64_t)i));
    return x;
}

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
        real *x = noise((int64_t)K * N, 1, 1);
        bf16_word *rows = mem_new((int64_t)K * across, sizeof *rows, "test");
        bf16_word *columns = mem_new((int64_t)bf16_words(K) * N, sizeof *columns, "test");
        bf16_word *transposed = mem_new((int64_t)K * across, sizeof *transposed, "test");
        bf16_word *work = mem_new((int64_t)K * across, sizeof *work, "test");
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
        mem_free(x); mem_free(rows); mem_free(columns); mem_free(transposed); mem_free(work);
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
            real *A = noise((int64_t)M * K, 1, 1), *B = noise((int64_t)K * N, 2, 1);
            real *C = noise((int64_t)M * N, 3, 1), *R = noise((int64_t)M * N, 3, 1);
            real *D = noise((int64_t)M * N, 3, 1);
            bf16_word *a = mem_new((int64_t)(M + 1) * (K + 1), sizeof *a, "test");
            bf16_word *b = mem_new((int64_t)(K + 1) * N, sizeof *b, "test");
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
            void *all[] = { A, B, C, R, D, a, b };
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
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

/* Everything that a mini-batch gives, forward and backward; gradients in one array. */
struct outcome { real *O, *next, *igrad, *grads, *dstate; int64_t n; };

static struct outcome run(const struct inner *f, int r, int F, int half, int complete)
{
    const int64_t S = f->state_reals(F), rF = (int64_t)r * F;
    real *Q = noise(rF, 1, 1), *X = noise(rF, 2, 1), *V = noise(rF, 3, 1), *lr = noise(r, 4, 0.002);
    real *tok = noise(r, 5, 0.3), *gamma = noise(F, 6, 0.2), *beta = noise(F, 7, 0.2);
    real *state = noise(S, 8, 0.2), *dO = noise(rF, 10, 1);
    real *work = noise(f->work_reals(r, F), 9, 1), *kept = noise(f->kept_reals(r, F), 9, 1);
    real *saved = noise(f->saved_reals(r, F), 9, 1), *again = noise(S, 9, 1);
    struct inner_in in = { .Q = Q, .X = X, .V = V, .lr = lr, .tok = tok, .gamma = gamma,
                           .beta = beta, .r = r, .F = F, .bf16 = half, .eps = (real)1e-6 };
    struct outcome o = { .O = noise(rF, 9, 1), .next = noise(S, 9, 1), .igrad = noise(S, 9, 1),
                         .dstate = noise(S, 11, 0.1), .n = 3 * rF + 2 * F + 2 * r };
    real *g = o.grads = mem_new(o.n, sizeof *g, "test");
    struct inner_grad grads = { g, g + rF, g + 2 * rF, g + 3 * rF, g + 3 * rF + r,
                                g + 3 * rF + 2 * r, g + 3 * rF + 2 * r + F };

    for (int i = 0; i < F; i++) gamma[i] += 1;
    for (int i = 0; i < r; i++) tok[i] += 1;
    f->forward(o.O, o.next, o.igrad, state, &in, kept, work, NULL);
    f->replay(saved, again, state, kept, &in, work);
    assert_memory_equal(again, o.next, (size_t)S * sizeof *again);
    f->backward(&grads, o.dstate, dO, saved, state, kept, &in, complete, work);
    void *all[] = { Q, X, V, lr, tok, gamma, beta, state, dO, work, kept, saved, again };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return o;
}

static void outcome_free(struct outcome *o)
{
    mem_free(o->O); mem_free(o->next); mem_free(o->igrad); mem_free(o->grads); mem_free(o->dstate);
}

/* Near what fp32 operands give, and not the same: rounding is 2^-9, and gradients amplify it. */
static void mini_batches_are_near_fp32(void **state)
{
    (void)state;
    static const int shapes[][2] = { { 16, 64 }, { 5, 18 }, { 1, 8 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int i = 0; i < 4; i++) {
            const struct inner *f = i / 2 ? &inner_mlp : &inner_linear;
            const int r = shapes[s][0], F = shapes[s][1];
            struct outcome a = run(f, r, F, 1, i % 2), b = run(f, r, F, 0, i % 2);
            const double off[] = {
                distance(a.O, b.O, (int64_t)r * F), distance(a.igrad, b.igrad, f->state_reals(F)),
                distance(a.grads, b.grads, a.n), distance(a.dstate, b.dstate, f->state_reals(F)),
                distance(a.next, b.next, f->state_reals(F)),
            };
            for (size_t k = 0; k < sizeof off / sizeof *off; k++)
                assert_true(off[k] > 1e-6 && off[k] < 0.03);
            outcome_free(&a);
            outcome_free(&b);
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
