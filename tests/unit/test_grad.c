/* SPDX-License-Identifier: Apache-2.0 */
/* test_grad.c -- sums of gradients: the same bits in any order, and bad ones named. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm.h"
#include "src/param/grad.h"

enum { M = 67, N = 211, VECTOR = 7, UNITS = 5, K = 33 };

/* weight (M,N), then a vector, then another weight. */
static void make_table(struct param_table *t)
{
    *t = (struct param_table){ 0 };
    param_add(t, "", "weight", INIT_NORMAL, 1, PARAM_SHAPE(M, N));
    param_add(t, "", "vector", INIT_ONE, 0, PARAM_SHAPE(VECTOR));
    param_add(t, "", "other", INIT_NORMAL, 1, PARAM_SHAPE(N, M));
}

/* Contributions of unit u to all parameters. */
static void add_unit(struct grad *g, int u)
{
    const struct param *p = g->table->p;
    real *a = noise(K * M, 10 + (uint64_t)u), *b = noise(K * N, 20 + (uint64_t)u);
    real *v = noise(VECTOR, 30 + (uint64_t)u);
    grad_add_tn(g, p[0].offset, a, b, M, N, K);
    grad_add(g, p[1].offset, v, VECTOR);
    grad_add_tn(g, p[2].offset, b, a, N, M, K);
}

/* What the mean over units should be, in double. */
static double *plain_mean(const struct param_table *t)
{
    double *want = hold(t->total, sizeof *want);
    for (uint64_t u = 0; u < UNITS; u++) {
        real *a = noise(K * M, 10 + u), *b = noise(K * N, 20 + u), *v = noise(VECTOR, 30 + u);
        for (int k = 0; k < K; k++)
            for (int m = 0; m < M; m++)
                for (int n = 0; n < N; n++) {
                    const double ab = (double)a[k * M + m] * (double)b[k * N + n] / UNITS;
                    want[t->p[0].offset + m * N + n] += ab;
                    want[t->p[2].offset + n * M + m] += ab;
                }
        for (int i = 0; i < VECTOR; i++) want[t->p[1].offset + i] += (double)v[i] / UNITS;
    }
    return want;
}

/* Products of several units by a team, whose threads wait between those to the same sums: equal to
 * one after another, whether the sums were clear or are those of the step before. */
static void products_in_one_region(void **state)
{
    (void)state;
    struct param_table t;
    make_table(&t);
    for (enum reduction mode = REDUCE_EXACT; mode <= REDUCE_FAST; mode++) {
        const real *a = noise(2 * K * M, 1), *b = noise(2 * K * N, 2);
        const int64_t at = t.p[0].offset, other = t.p[2].offset;
        struct grad g;
        real *mean[2] = { zeros(t.total), zeros(t.total) };
        grad_init(&g, &t, mode);
        for (int team = 0; team < 2; team++) {
            grad_begin(&g, 2);
            omp_set_num_threads(3);
            if (team) {
                const int set = grad_starts_tn(&g, at, M, N);
                const int set_other = grad_starts_tn(&g, other, N, M);
                assert_int_equal(set, 1);
                assert_int_equal(grad_starts_tn(&g, at, M, N), 0);
                #pragma omp parallel
                {
                    grad_add_tn_team(&g, at, a, b, M, N, K, set);
                    grad_add_tn_team(&g, other, b, a, N, M, K, set_other);
                    #pragma omp barrier
                    grad_add_tn_team(&g, at, a + K * M, b + K * N, M, N, K, 0);
                }
            } else {
                grad_add_tn(&g, at, a, b, M, N, K);
                grad_add_tn(&g, other, b, a, N, M, K);
                grad_add_tn(&g, at, a + K * M, b + K * N, M, N, K);
            }
            grad_end(&g, 0, t.total);
            grad_read(&g, mean[team], 0, t.total);
        }
        assert_same(mean[1], mean[0], t.total);
        grad_done(&g);
        release();
    }
    param_done(&t);
}

static void mean_over_units(void **state)
{
    (void)state;
    struct param_table t;
    make_table(&t);
    for (enum reduction mode = REDUCE_EXACT; mode <= REDUCE_FAST; mode++) {
        struct grad g;
        grad_init(&g, &t, mode);
        for (int step = 0; step < 2; step++) {             /* begin() forgets the step before */
            grad_begin(&g, UNITS);
            for (int u = 0; u < UNITS; u++) add_unit(&g, u);
        }
        real *mean = zeros(t.total);
        double *want = plain_mean(&t), sumsq = 0;
        grad_read(&g, mean, 0, t.total);
        assert_close(mean, want, t.total, ULPS(2 * sqrt(K)) + 1e-12);
        for (int64_t i = 0; i < t.total; i++) sumsq += want[i] * want[i];
        assert_true(fabs(grad_sumsq(&g) / sumsq - 1) < ULPS(4) + 1e-10);
        assert_null(grad_bad_name(&g));

        real *part = zeros(t.total);                       /* read in pieces */
        grad_read(&g, part, 0, 1001);
        grad_read(&g, part + 1001, 1001, t.total - 1001);
        assert_same(part, mean, t.total);
        grad_done(&g);
        release();
    }
    param_done(&t);
}

/* Exact: any order of units, any number of threads, any grouping over two
 * processes gives the same integers; and it is not trivially so, for floats differ. */
static void order_changes_no_bit(void **state)
{
    (void)state;
    static const int order[3][UNITS] = { { 0, 1, 2, 3, 4 }, { 4, 2, 0, 3, 1 }, { 3, 4, 1, 0, 2 } };
    struct param_table t;
    struct grad g[3], half;
    double sumsq[3];
    make_table(&t);
    for (int i = 0; i < 3; i++) {
        omp_set_num_threads(i + 1);
        grad_init(&g[i], &t, REDUCE_EXACT);
        grad_begin(&g[i], UNITS);
        for (int u = 0; u < UNITS; u++) add_unit(&g[i], order[i][u]);
        sumsq[i] = grad_sumsq(&g[i]);
    }
    assert_same(g[0].fixed, g[1].fixed, t.total);
    assert_same(g[0].fixed, g[2].fixed, t.total);
    assert_true(sumsq[0] == sumsq[1] && sumsq[0] == sumsq[2]);

    grad_init(&half, &t, REDUCE_EXACT);
    for (int part = 0; part < 2; part++) {
        grad_begin(&half, UNITS);
        for (int u = 3 * part; u < (part ? UNITS : 3); u++) add_unit(&half, u);
        for (int64_t i = 0; i < t.total; i++) g[1].fixed[i] -= half.fixed[i];
    }
    for (int64_t i = 0; i < t.total; i++) assert_int_equal(g[1].fixed[i], 0);

    real *sum[2];
    for (int i = 0; i < 2; i++) {
        struct grad f;
        sum[i] = zeros(t.total);
        grad_init(&f, &t, REDUCE_FAST);
        grad_begin(&f, UNITS);
        for (int u = 0; u < UNITS; u++) add_unit(&f, order[i][u]);
        grad_read(&f, sum[i], 0, t.total);
        grad_done(&f);
    }
    assert_other(sum[0], sum[1], t.total);

    for (int i = 0; i < 3; i++) grad_done(&g[i]);
    grad_done(&half);
    param_done(&t);
    release();
}

/* What can't be a summand is left out, noticed, and named after its parameter. */
static void bad_contributions_are_named(void **state)
{
    (void)state;
    static const double bad[] = { NAN, INFINITY, -INFINITY, 0x1p17, -0x1p17 };
    struct param_table t;
    struct grad g;
    make_table(&t);
    grad_init(&g, &t, REDUCE_EXACT);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        real v[VECTOR] = { 1, 2, 3 };
        grad_begin(&g, 4);
        assert_null(grad_bad_name(&g));
        v[0] = (real)0x1.fffffep16;                        /* the largest good one, in float */
        grad_add(&g, t.p[1].offset, v, VECTOR);
        assert_null(grad_bad_name(&g));
        v[1] = (real)bad[i];
        grad_add(&g, t.p[1].offset, v, VECTOR);
        assert_string_equal(grad_bad_name(&g), "vector");

        real *a = noise(K * M, 1), *b = noise(K * N, 2);   /* through a product */
        a[5 * M + 66] = (real)bad[i];
        grad_add_tn(&g, t.p[2].offset, b, a, N, M, K);
        assert_string_equal(grad_bad_name(&g), "vector");  /* the first in the table */
        grad_add_tn(&g, t.p[0].offset, a, b, M, N, K);
        assert_string_equal(grad_bad_name(&g), "weight");
        release();
    }
    grad_done(&g);
    param_done(&t);
}

/* What is added is the contribution in units of 2^-44, to the nearest, ties to even: of all sizes,
 * and half-way cases. */
static void rounded_to_the_nearest(void **state)
{
    (void)state;
    enum { N_ALL = M * N, TIES = 4000 };
    struct param_table t;
    struct grad g;
    make_table(&t);
    grad_init(&g, &t, REDUCE_EXACT);
    real *v = noise(N_ALL, 5);
    for (int i = 0; i < N_ALL; i++) v[i] = (real)ldexp((double)v[i], i % 76 - 60);
    for (int i = 0; i < TIES; i++) v[i] = (real)ldexp(i - TIES / 2 + 0.5, -44);
    grad_begin(&g, 1);
    for (int times = 1; times <= 2; times++) {
        grad_add(&g, t.p[0].offset, v, N_ALL);
        for (int i = 0; i < N_ALL; i++)
            assert_int_equal(g.fixed[t.p[0].offset + i],
                             times * (int64_t)nearbyint(ldexp((double)v[i], 44)));
    }
    assert_null(grad_bad_name(&g));

    v[0] = (real)0x1p19 * (1 - (real)REAL_EPS / 2), v[1] = -v[0];    /* the largest */
    grad_begin(&g, 1);
    grad_add(&g, t.p[1].offset, v, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(g.fixed[t.p[1].offset + i], (int64_t)ldexp((double)v[i], 44));
    assert_null(grad_bad_name(&g));
    grad_done(&g);
    param_done(&t);
    release();
}

/* Without a range check in fast mode, the norm is where NaN shows. */
static void norm_of_nan_is_not_finite(void **state)
{
    (void)state;
    struct param_table t;
    struct grad g;
    make_table(&t);
    grad_init(&g, &t, REDUCE_FAST);
    grad_begin(&g, 1);
    real v[VECTOR] = { (real)NAN };
    grad_add(&g, t.p[1].offset, v, VECTOR);
    grad_end(&g, 0, t.total);
    assert_false(isfinite(grad_sumsq(&g)));
    grad_done(&g);
    param_done(&t);
}

/* Matrices are not set to zero at the start.  Whatever comes first, nothing of the step before is
 * left: a part added by several threads, part of the rows of a product, nothing at all. */
static void nothing_is_left_of_the_step_before(void **state)
{
    (void)state;
    enum { ROWS = 8 };
    struct param_table t;
    make_table(&t);
    for (enum reduction mode = REDUCE_EXACT; mode <= REDUCE_FAST; mode++) {
        struct grad g;
        real *a = noise(K * M, 1), *b = noise(K * N, 2), *mean = zeros(t.total);
        real *want = zeros(t.total), *v = noise(M, 3);
        const int64_t weight = t.p[0].offset, other = t.p[2].offset;
        grad_init(&g, &t, mode);
        omp_set_num_threads(3);
        for (int step = 0; step < 2; step++) {
            grad_begin(&g, UNITS);
            for (int u = 0; u < UNITS; u++) add_unit(&g, u);
        }
        grad_begin(&g, 1);
        grad_end(&g, 0, t.total);
        grad_read(&g, mean, 0, t.total);
        assert_same(mean, want, t.total);

        add_unit(&g, 0);
        grad_begin(&g, 1);
        #pragma omp parallel for schedule(static, 1)
        for (int i = 0; i < ROWS; i++) grad_add(&g, other + (int64_t)(N - ROWS + i) * M, v, M);
        grad_add_tn(&g, weight, a, b, ROWS, N, K);
        grad_end(&g, 0, t.total);
        grad_read(&g, mean, 0, t.total);
        assert_other(mean + weight, want, ROWS * N);
        assert_same(mean + weight + ROWS * N, want, (M - ROWS) * N);
        assert_same(mean + other, want, (N - ROWS) * M);
        for (int i = 0; i < ROWS * M; i++)
            assert_true(fabs((double)(mean[other + (N - ROWS) * M + i] - v[i % M])) < 1e-6);
        grad_done(&g);
        release();
    }
    param_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_in_one_region),
        cmocka_unit_test(mean_over_units),
        cmocka_unit_test(order_changes_no_bit),
        cmocka_unit_test(bad_contributions_are_named),
        cmocka_unit_test(rounded_to_the_nearest),
        cmocka_unit_test(norm_of_nan_is_not_finite),
        cmocka_unit_test(nothing_is_left_of_the_step_before),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
