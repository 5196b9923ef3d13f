/* SPDX-License-Identifier: Apache-2.0 */
/* test_param.c -- the one list of parameters. */
#include "tests/unit/numeric.h"

#include <stdio.h>

#include "src/param/param.h"

static void layout(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    assert_int_equal(param_add(&t, "", "a", INIT_ONE, 0, PARAM_SHAPE(3, 7)), 0);
    assert_int_equal(param_add(&t, "", "b", INIT_ZERO, 0, PARAM_SHAPE(1)), 1);
    assert_int_equal(param_add(&t, "layers.0.", "c", INIT_NORMAL, 2, PARAM_SHAPE(2, 3, 5, 7)),
                     2);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.n, 21 + 1 + 210);
    for (int k = 0; k < t.count; k++) {
        assert_int_equal(t.p[k].offset % ALIGN_REALS, 0);
        assert_int_equal(param_at(&t, t.p[k].offset), k);
        assert_int_equal(param_at(&t, t.p[k].offset + t.p[k].n - 1), k);
        assert_int_equal(param_find(&t, t.p[k].name), k);
    }
    assert_int_equal(t.p[1].offset, align_reals(21));
    assert_int_equal(t.total, align_reals(21) + ALIGN_REALS + align_reals(210));
    assert_int_equal(param_find(&t, "layers.0.c"), 2);
    assert_int_equal(param_find(&t, "c"), -1);
    assert_int_equal(param_find(&t, ""), -1);
    param_done(&t);
    assert_int_equal(t.count, 0);
}

static void many_parameters(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    char name[32];
    for (int k = 0; k < 1000; k++) {
        snprintf(name, sizeof name, "p.%d", k);
        assert_int_equal(param_add(&t, "", name, INIT_ONE, 0, PARAM_SHAPE(k % 37 + 1)), k);
    }
    for (int k = 0; k < 1000; k++) {
        snprintf(name, sizeof name, "p.%d", k);
        assert_int_equal(param_find(&t, name), k);
        assert_int_equal(param_at(&t, t.p[k].offset + k % 37), k);
    }
    param_done(&t);
}

/* Moments of the draws; five standard errors of a mean and of a variance. */
static void distributions(void **state)
{
    (void)state;
    enum { n = 200000 };
    struct param_table t = { 0 };
    param_add(&t, "", "normal", INIT_NORMAL, 0.02, PARAM_SHAPE(n));
    param_add(&t, "", "uniform", INIT_UNIFORM, 0.5, PARAM_SHAPE(n));
    param_add(&t, "", "one", INIT_ONE, 0, PARAM_SHAPE(5));
    param_add(&t, "", "zero", INIT_ZERO, 0, PARAM_SHAPE(5));
    real *w = noise(t.total, 3);
    param_init(w, &t, 1);
    const double var[2] = { 0.02 * 0.02, 0.5 * 0.5 / 3 }, kurtosis[2] = { 3, 1.8 };
    for (int k = 0; k < 2; k++) {
        double m = 0, v = 0;
        for (int i = 0; i < n; i++) m += (double)w[t.p[k].offset + i] / n;
        for (int i = 0; i < n; i++) v += pow((double)w[t.p[k].offset + i], 2) / n;
        assert_true(fabs(m) < 5 * sqrt(var[k] / n));
        assert_true(fabs(v / var[k] - 1) < 5 * sqrt((kurtosis[k] - 1) / n));
    }
    for (int i = 0; i < n; i++) assert_true(fabs((double)w[t.p[1].offset + i]) <= 0.5);
    for (int i = 0; i < ALIGN_REALS; i++) {
        assert_true(w[t.p[2].offset + i] == (i < 5));      /* padding becomes zero */
        assert_true(w[t.p[3].offset + i] == 0);
    }
    param_done(&t);
    release();
}

/* Mamba's: log 1..N in every row, and steps log-uniform in (1e-3, 0.1) after softplus. */
static void state_space_starts(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    const int n = 20000;
    param_add(&t, "", "A_log", INIT_LOG_COUNT, 0, PARAM_SHAPE(7, 16));
    param_add(&t, "", "dt_proj.bias", INIT_STEP, 0, PARAM_SHAPE(n));
    real *w = zeros(t.total);
    param_init(w, &t, 5);
    for (int i = 0; i < 7 * 16; i++)
        assert_true(fabs(exp((double)w[i]) - (i % 16 + 1)) < 1e-5);
    double mean = 0, var = 0;
    for (int i = 0; i < n; i++) {
        const double step = log(log1p(exp((double)w[t.p[1].offset + i])));
        assert_true(step > log(1e-3) - 1e-3 && step < log(0.1) + 1e-3);
        mean += step / n;
        var += step * step / n;
    }
    const double span = log(0.1) - log(1e-3), middle = (log(0.1) + log(1e-3)) / 2;
    assert_true(fabs(mean - middle) < 5 * span / sqrt(12.0 * n));
    assert_true(fabs((var - mean * mean) / (span * span / 12) - 1) < 5 * sqrt(0.8 / n));
    param_done(&t);
    release();
}

/* Rows of a wide matrix, columns of a tall one: orthogonal, of length arg sqrt(longer side); other
 * matrices of a stack are others; no thread changes a bit. */
static void orthogonal_starts(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    param_add(&t, "", "wide", INIT_ORTHOGONAL, 0.02, PARAM_SHAPE(13, 67));
    param_add(&t, "", "tall", INIT_ORTHOGONAL, 0.02, PARAM_SHAPE(67, 13));
    param_add(&t, "", "stack", INIT_ORTHOGONAL, 0.1, PARAM_SHAPE(3, 8, 8));
    real *w = zeros(t.total), *again = zeros(t.total);
    omp_set_num_threads(1);
    param_init(w, &t, 7);
    omp_set_num_threads(3);
    param_init(again, &t, 7);
    assert_same(w, again, t.total);
    param_init(again, &t, 8);
    assert_other(w, again, t.total);
    for (int k = 0; k < 5; k++) {
        const struct param *p = &t.p[k < 2 ? k : 2];
        const real *A = w + p->offset + (k > 2 ? (k - 2) * 64 : 0);
        const int c = (int)p->shape[p->ndim - 1], r = (int)p->shape[p->ndim - 2];
        const int m = r < c ? r : c, n = r < c ? c : r;
        const double want = p->init_arg * p->init_arg * n;
        for (int i = 0; i < m; i++)
            for (int j = 0; j < m; j++) {
                double sum = i == j ? -want : 0;
                for (int x = 0; x < n; x++)
                    sum += r <= c ? (double)A[i * c + x] * (double)A[j * c + x]
                                  : (double)A[x * c + i] * (double)A[x * c + j];
                assert_true(fabs(sum) < 4 * n * REAL_EPS * want);
            }
    }
    assert_other(w + t.p[2].offset, w + t.p[2].offset + 64, 64);
    param_done(&t);
    release();
}

/* A parameter's values depend on seed and name: not on what stands before it, nor on
 * threads. */
static void values_follow_the_name(void **state)
{
    (void)state;
    struct param_table t = { 0 }, other = { 0 };
    param_add(&t, "", "a", INIT_NORMAL, 1, PARAM_SHAPE(67, 7));
    param_add(&t, "", "b", INIT_NORMAL, 1, PARAM_SHAPE(501));
    param_add(&other, "", "b", INIT_NORMAL, 1, PARAM_SHAPE(501));
    real *w = zeros(t.total), *v = zeros(other.total);
    omp_set_num_threads(1);
    param_init(w, &t, 7);
    omp_set_num_threads(3);
    param_init(v, &other, 7);
    assert_same(w + t.p[1].offset, v, 501);
    assert_other(w, v, 400);                               /* another name */
    param_init(v, &other, 8);
    assert_other(w + t.p[1].offset, v, 501);               /* another seed */
    param_done(&t);
    param_done(&other);
    release();
}

/* Whole arrays, by any number of threads, are element after element by definition. */
static void elements_are_their_definition(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    const int n = 50077;                                   /* several shares of a thread */
    param_add(&t, "", "normal", INIT_NORMAL, 0.02, PARAM_SHAPE(n));
    param_add(&t, "", "uniform", INIT_UNIFORM, 0.5, PARAM_SHAPE(n));
    real *w = noise(t.total, 3);
    const uint64_t normal = rng_key(7, "normal"), uniform = rng_key(7, "uniform");
    for (int threads = 1; threads <= 3; threads += 2) {
        omp_set_num_threads(threads);
        param_init(w, &t, 7);
        for (int i = 0; i < n; i++) {
            assert_true(w[i] == (real)(0.02 * rng_normal(normal, (uint64_t)i)));
            assert_true(w[t.p[1].offset + i] ==
                        (real)(0.5 * (2 * rng_uniform(uniform, (uint64_t)i) - 1)));
        }
        for (int64_t i = n; i < t.p[1].offset; i++) assert_true(w[i] == 0);
        memset(w, 0xff, (size_t)t.total * sizeof *w);
    }
    param_done(&t);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),
        cmocka_unit_test(many_parameters),
        cmocka_unit_test(distributions),
        cmocka_unit_test(state_space_starts),
        cmocka_unit_test(orthogonal_starts),
        cmocka_unit_test(values_follow_the_name),
        cmocka_unit_test(elements_are_their_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
