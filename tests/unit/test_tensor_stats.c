/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics against numbers known in closed form, and verdicts about real models. */
#include "tests/unit/store_test.h"

#include <math.h>

#include "src/model/model.h"
#include "src/store/param_tensors.h"
#include "src/store/tensor_stats.h"

/* 0 .. n-1: mean (n-1)/2, variance (n^2-1)/12, sum of squares (n-1)n(2n-1)/6. */
static void known_moments(void **state)
{
    (void)state;
    enum { N = 5003 };
    float *x = mem_new(N, sizeof *x, "test");
    int64_t *k = mem_new(N, sizeof *k, "test");
    struct tensor t = { "x", DT_F32, 1, { N }, x };
    struct tensor_stats s;

    for (int i = 0; i < N; i++) k[i] = (int64_t)(x[i] = (float)((i * 7) % N));
    for (int pass = 0; pass < 2; pass++) {
        tensor_stats(&s, &t);
        assert_true(s.n == N && s.bad == 0 && s.min == 0 && s.max == N - 1);
        assert_true(fabs(s.mean - (N - 1) / 2.0) < 1e-9 * N);
        assert_true(fabs(s.std / sqrt(((double)N * N - 1) / 12) - 1) < 1e-12);
        assert_true(fabs(s.norm / sqrt((N - 1.0) * N * (2.0 * N - 1) / 6) - 1) < 1e-12);
        t.dtype = DT_I64;
        t.data = k;
    }
    /* A large mean must not eat the spread. */
    double y[4] = { 1e9 + 1, 1e9 - 1, 1e9 + 1, 1e9 - 1 };
    const struct tensor far = { "y", DT_F64, 2, { 2, 2 }, y };
    tensor_stats(&s, &far);
    assert_true(s.mean == 1e9 && fabs(s.std - 1) < 1e-12);

    x[17] = NAN;
    x[18] = INFINITY;
    t.dtype = DT_F32;
    t.data = x;
    tensor_stats(&s, &t);
    assert_true(s.bad == 2 && isfinite(s.mean) && isfinite(s.std) && isfinite(s.norm));
    mem_free(x);
    mem_free(k);
}

static void differences(void **state)
{
    (void)state;
    float x[2000] = { 0 }, y[2000] = { 0 };
    const struct tensor a = { "a", DT_F32, 2, { 2, 1000 }, x };
    const struct tensor b = { "a", DT_F32, 2, { 2, 1000 }, y };
    struct tensor_diff d;

    x[7] = y[7] = NAN;                       /* the same bits: equal */
    tensor_diff(&d, &a, &b);
    assert_true(d.differ == 0 && d.first == -1 && d.max_abs == 0 && d.rms == 0);
    y[1500] = 3;
    y[1999] = -4;
    tensor_diff(&d, &a, &b);
    assert_true(d.differ == 2 && d.first == 1500 && d.max_abs == 4);
    assert_true(fabs(d.rms - sqrt(25.0 / 2000)) < 1e-15);
    y[3] = -0.0f;                            /* equal as a number, not as a state */
    tensor_diff(&d, &a, &b);
    assert_true(d.differ == 3 && d.first == 3 && d.max_abs == 4);
}

/* Every tensor of a fresh model looks untrained or is too small to tell; none of a
 * model whose parameters moved. */
static void verdicts(void **state)
{
    (void)state;
    const struct dims d = { .layer = "ttt_linear", .V = 1000, .L = 2, .C = 512, .H = 8, .E = 640,
                            .K = 16, .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1,
                            .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.02,
                            .inner_lr = 1 };
    struct model *m = NULL;
    int clear = 0;

    assert_int_equal(model_new(&m, &d), OK);
    model_init(m, 3);
    struct tensor *list = mem_new(m->params.count, sizeof *list, "test");
    param_tensors(list, &m->params, "", m->w);
    for (int moved = 0; moved < 2; moved++) {
        for (int i = 0; i < m->params.count; i++) {
            const struct param *p = &m->params.p[i];
            const double std = p->init == INIT_UNIFORM ? p->init_arg / sqrt(3) : p->init_arg;
            struct tensor_stats s;
            if (moved)
                for (int64_t k = 0; k < p->n; k++)
                    m->w[p->offset + k] *= (real)(1.1 + 0.3 * (k % 2));
            if (moved && p->init == INIT_ZERO) m->w[p->offset] = (real)0.01;
            tensor_stats(&s, &list[i]);
            const int v = tensor_looks_untrained(&s, std);
            if (v >= 0 && v != !moved) fail_msg("%s: %d when moved is %d", p->name, v, moved);
            clear += v >= 0;
        }
    }
    assert_true(clear > m->params.count);
    mem_free(list);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_moments), cmocka_unit_test(differences), cmocka_unit_test(verdicts),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
