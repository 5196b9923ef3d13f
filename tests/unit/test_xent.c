/* SPDX-License-Identifier: Apache-2.0 */
/* test_xent.c -- cross-entropy against libm, its gradient against slopes. */
#include "tests/unit/numeric.h"

#include "src/kernels/embed.h"
#include "src/kernels/xent.h"

struct plain { double *l; int target, V; };

static double plain_nll(void *ctx)
{
    const struct plain *p = ctx;
    double most = -INFINITY, sum = 0;
    for (int v = 0; v < p->V; v++) most = fmax(most, p->l[v]);
    for (int v = 0; v < p->V; v++) sum += exp(p->l[v] - most);
    return log(sum) + most - p->l[p->target];
}

static void values_and_gradients(void **state)
{
    (void)state;
    static const int sizes[] = { 1, 2, 7, 67, 513, 1100 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        enum { N = 5 };
        const int V = sizes[k];
        real *l = noise(N * V, 1), *scale = noise(N, 2), *grad = copy(l, N * V);
        const int32_t target[N] = { 0, V - 1, V / 2, -1, V / 3 };
        double nll[N], nll2[N], *want = widen(zeros(N * V), N * V);

        for (int n = 0; n < N; n++) {
            if (target[n] < 0) continue;
            struct plain p = { widen(l + n * V, V), target[n], V };
            double *g = slopes(plain_nll, &p, p.l, V);
            for (int v = 0; v < V; v++) want[n * V + v] = (double)scale[n] * g[v];
        }
        xent_forward(nll, l, target, N, V);
        xent_grad(grad, nll2, target, scale, N, V);
        for (int n = 0; n < N; n++) {
            struct plain p = { widen(l + n * V, V), target[n], V };
            if (target[n] >= 0) assert_true(fabs(nll[n] - plain_nll(&p)) < 1e-12 + ULPS(8));
            else assert_true(nll[n] == 0);
        }
        assert_same(nll, nll2, N);
        assert_close(grad, want, N * V, 1e-10 + ULPS(4));
        release();
    }
}

/* e^1000 is no number, e^(1000 - 1000) is; and what is not scored is not looked at. */
static void extreme_logits(void **state)
{
    (void)state;
    real l[9] = { 1000, 999, -1000, (real)NAN, 1, (real)INFINITY, 1, (real)NAN, 2 };
    const real scale[3] = { 1, 1, 1 };
    const int32_t target[3] = { 1, -1, 0 };
    double nll[3];
    xent_forward(nll, l, target, 3, 3);
    assert_true(fabs(nll[0] - (1 + log(1 + exp(-1)))) < ULPS(4));
    assert_true(nll[1] == 0 && isnan(nll[2]));
    xent_grad(l, nll, target, scale, 3, 3);
    assert_true(fabs((double)l[0] - 1 / (1 + exp(-1))) < ULPS(4) && l[2] == 0);
    assert_true(nll[1] == 0 && l[3] == 0 && l[4] == 0 && l[5] == 0);
    assert_true(isnan(nll[2]));
}

/* Softmax minus one-hot sums to zero, also over a real vocabulary. */
static void rows_of_the_gradient_sum_to_zero(void **state)
{
    (void)state;
    enum { V = 32000 };
    real *l = noise(V, 1), scale = 1;
    const int32_t target = 31999;
    double nll, sum = 0;
    for (int v = 0; v < V; v++) l[v] *= 5;
    xent_grad(l, &nll, &target, &scale, 1, V);
    for (int v = 0; v < V; v++) sum += (double)l[v];
    assert_true(fabs(sum) < ULPS(40));
    release();
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    enum { N = 33, V = 1031 };
    real *l = noise(N * V, 1), *scale = noise(N, 2), *grad[4];
    double nll[4][N];
    int32_t target[N];
    for (int n = 0; n < N; n++) target[n] = n * 31 % V - (n == 5) * V;
    for (int t = 1; t <= 3; t++) {
        omp_set_num_threads(t);
        grad[t] = copy(l, N * V);
        xent_grad(grad[t], nll[t], target, scale, N, V);
    }
    assert_same(grad[1], grad[2], N * V);
    assert_same(grad[1], grad[3], N * V);
    assert_same(nll[1], nll[2], N);
    assert_same(nll[1], nll[3], N);
    release();
}

static void embedding_copies_rows(void **state)
{
    (void)state;
    enum { N = 300, V = 11, C = 67 };
    real *w = noise(V * C, 1), *x = zeros(N * C);
    int32_t tok[N];
    for (int n = 0; n < N; n++) tok[n] = (n * n + 3) % V;
    embed_forward(x, w, tok, N, C);
    for (int n = 0; n < N; n++) assert_same(x + n * C, w + tok[n] * C, C);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(extreme_logits),
        cmocka_unit_test(rows_of_the_gradient_sum_to_zero),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(embedding_copies_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
