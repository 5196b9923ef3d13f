/* SPDX-License-Identifier: Apache-2.0 */
/* test_soap.c -- SOAP against AdamW, which it is in the identity's basis, and against the plain
 * writing of tests/lib/soap_ref.c. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm.h"
#include "src/kernels/lapack.h"
#include "src/optim/soap.h"
#include "src/param/grad.h"
#include "tests/lib/soap_ref.h"

static const struct optim_opts opts = { .lr = 3e-3, .min_lr = 1e-5, .warmup_steps = 2,
                                        .decay_steps = 6, .beta1 = 0.9, .beta2 = 0.95,
                                        .eps = 1e-8, .weight_decay = 0.1, .clip_norm = 1,
                                        .factor_beta = 0.9 };

static struct soap_state new_state(const struct factored *f)
{
    const int64_t n = (int64_t)f->matrices * f->rows * f->cols;
    struct soap_state s = { .m = zeros(n), .v = zeros(n) };
    for (int side = 0; side < 2; side++) {
        const int64_t d = factor_dim(f, side);
        if (!d) continue;
        s.factor[side] = zeros(f->matrices * d * d);
        s.basis[side] = zeros(f->matrices * d * d);
        for (int64_t i = 0; i < f->matrices * d; i++) s.basis[side][i * d + i % d] = 1;
    }
    return s;
}

static struct factored shape(int matrices, int rows, int cols, int max_dim)
{
    return (struct factored){ matrices, rows, cols, { rows <= max_dim, cols <= max_dim } };
}

/* Bit for bit, also where pieces are many and odd. */
static void identity_is_adamw(void **state)
{
    (void)state;
    static const int dims[][4] = { { 1, 16, 24, 99 }, { 3, 17, 5, 99 }, { 1, 300, 257, 999 },
                                   { 1, 500, 33, 64 } };
    for (size_t k = 0; k < 4; k++) {
        const struct factored f = shape(dims[k][0], dims[k][1], dims[k][2], dims[k][3]);
        const int64_t n = (int64_t)f.matrices * f.rows * f.cols;
        struct soap_state s = new_state(&f);
        struct param_table t = { 0 };
        struct grad g;
        param_add(&t, "", "w", INIT_NORMAL, 1, PARAM_SHAPE(f.matrices, f.rows, f.cols));
        grad_init(&g, &t, REDUCE_EXACT);
        real *w = noise(t.total, 1), *u = copy(w, t.total), *m = zeros(t.total);
        real *v = zeros(t.total), *x = zeros(t.total), *work = zeros(factor_work(&f));
        for (int step = 0; step < 5; step++) {
            grad_begin(&g, 1);
            grad_add(&g, 0, noise(n, 10 + (uint64_t)step), n);
            grad_read(&g, x, 0, n);
            adamw_update(&(struct adamw){ .opts = &opts, .grad = &g, .w = w, .end = n, .t = step,
                                          .factor = 1 }, m, v);
            const struct adam_rates a = adam_rates(&opts, step, step + 1, 1);
            soap_direction(&s, &f, &a, x, work);
            soap_apply(&a, u, x, n);
        }
        assert_same(u, w, n);
        assert_same(s.m, m, n);
        assert_same(s.v, v, n);
        s.basis[f.has[LEFT] ? LEFT : RIGHT][1] = (real)0.1;     /* the comparison can fail */
        const struct adam_rates a = adam_rates(&opts, 5, 6, 1);
        grad_read(&g, x, 0, n);
        soap_direction(&s, &f, &a, x, work);
        assert_other(s.v, v, n);
        grad_done(&g);
        param_done(&t);
        release();
    }
}

/* Updates as mpi/soap/soap_step.c does them; all directions after each other. */
static void run(struct soap_state *s, const struct factored *f, int every, int updates,
                real *directions)
{
    const int64_t n = (int64_t)f->matrices * f->rows * f->cols;
    real *work = zeros(factor_work(f));
    struct soap_trouble trouble = { 0, 0 };

    for (int k = 0; k < updates; k++) {
        real *g = directions + k * n;
        for (int64_t i = 0; i < n; i++)
            g[i] = (real)(rng_normal(100 + (uint64_t)k, (uint64_t)i) / (1 + i % f->cols));
        const struct adam_rates a = adam_rates(&opts, k, k ? k : 1, 1);
        assert_int_equal(soap_factors(s, f, opts.factor_beta, g, work), 0);
        if (k) soap_direction(s, f, &a, g, work);
        if (k % every == 0)
            for (int i = 0; i < f->matrices; i++) soap_refresh(s, f, i, !k, &trouble);
    }
    assert_int_equal(trouble.kept, 0);
}

/* Factors have full rank and distinct eigenvalues here: bases are unique but for signs, of which
 * a direction does not depend.  Rounding is amplified by |L| / gap, at most some 1e3. */
static void plain_writing(void **state)
{
    (void)state;
    static const int dims[][4] = { { 1, 9, 9, 99 }, { 3, 6, 6, 99 }, { 1, 40, 7, 8 },
                                   { 2, 5, 33, 8 } };
    enum { UPDATES = 12 };
    for (size_t k = 0; k < 4; k++) {
        const struct factored f = shape(dims[k][0], dims[k][1], dims[k][2], dims[k][3]);
        const int each = f.rows * f.cols, n = f.matrices * each;
        struct soap_state s = new_state(&f);
        real *got = zeros((int64_t)UPDATES * n);
        run(&s, &f, 3, UPDATES, got);
        for (int i = 0; i < f.matrices; i++) {
            struct soap_ref ref;
            soap_ref_init(&ref, f.rows, f.cols, dims[k][3], 3, opts.beta1, opts.beta2,
                          opts.factor_beta, opts.eps);
            double *g = hold(each, sizeof *g);
            for (int u = 0; u < UPDATES; u++) {
                for (int e = 0; e < each; e++)
                    g[e] = (double)(real)(rng_normal(100 + (uint64_t)u, (uint64_t)(i * each + e)) /
                                          (1 + (i * each + e) % f.cols));
                if (soap_ref_update(&ref, g))
                    assert_close(got + u * n + i * each, g, each, ULPS(4e4));
            }
            soap_ref_done(&ref);
        }
        release();
    }
}

/* The largest eigenvalue stays where it was found; v goes with its direction. */
static void refresh_converges(void **state)
{
    (void)state;
    const struct factored f = shape(1, 30, 20, 99);
    struct soap_state s = new_state(&f);
    struct soap_trouble trouble = { 0, 0 };
    real *x = noise(30 * 30, 1), *q = zeros(30 * 30), *w = zeros(30), *y = noise(20 * 20, 2);
    gemm(&(struct gemm){ .C = s.factor[LEFT], .A = x, .B = x, .transpose_B = 1,
                         .N = 30, .M = 30, .K = 30 });
    gemm(&(struct gemm){ .C = s.factor[RIGHT], .A = y, .B = y, .transpose_B = 1,
                         .N = 20, .M = 20, .K = 20 });
    memcpy(q, s.factor[LEFT], 30 * 30 * sizeof *q);
    assert_int_equal(lapack_eigen(q, w, 30), 0);
    for (int k = 0; k < 2000; k++) soap_refresh(&s, &f, 0, 0, &trouble);
    for (int k = 0; k < 3; k++)
        assert_true(fabs(fabs(dot(q + k * 30, s.basis[LEFT] + k * 30, 30)) - 1) < 1e-4);
    release();
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const struct factored f = shape(2, 300, 270, 999);
    const int64_t n = 2 * 300 * 270;
    real *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        struct soap_state s = new_state(&f);
        real *got = zeros(4 * n);
        run(&s, &f, 2, 4, got);
        if (!first) first = got;
        assert_same(got, first, 4 * n);
    }
    first[4 * n - 1] += 1;
    assert_other(first, first + n, n);
    release();
}

/* A factor that would become infinite, or that can't be decomposed, stays; so does its basis. */
static void trouble_is_survived(void **state)
{
    (void)state;
    const struct factored f = shape(2, 8, 6, 99);
    struct soap_state s = new_state(&f);
    struct soap_trouble trouble = { 0, 0 };
    real *g = noise(2 * 8 * 6, 1), *work = zeros(factor_work(&f));
    assert_int_equal(soap_factors(&s, &f, 0.5, g, work), 0);
    for (int i = 0; i < 2; i++) soap_refresh(&s, &f, i, 1, &trouble);
    assert_int_equal(trouble.kept, 0);

    real *left = copy(s.factor[LEFT], 2 * 64), *basis = copy(s.basis[LEFT], 2 * 64);
    real *v = copy(s.v, 2 * 48);
    g[48] = sizeof(real) == 4 ? (real)1e30 : (real)1e300;       /* its square overflows */
    assert_int_equal(soap_factors(&s, &f, 0.5, g, work), 2);    /* both of matrix 1     */
    assert_same(s.factor[LEFT] + 64, left + 64, 64);
    assert_other(s.factor[LEFT], left, 64);

    s.factor[LEFT][64 + 3] = (real)NAN;
    soap_refresh(&s, &f, 1, 0, &trouble);
    assert_int_equal(trouble.kept, 1);
    assert_int_equal(trouble.info, LAPACK_NOT_FINITE);
    soap_refresh(&s, &f, 1, 1, &trouble);
    assert_int_equal(trouble.kept, 2);
    assert_same(s.basis[LEFT] + 64, basis + 64, 64);
    assert_same(s.v, v, 2 * 48);

    /* Nothing at all in a factor is no trouble: any basis is one of eigenvectors. */
    memset(s.factor[LEFT], 0, 2 * 64 * sizeof(real));
    soap_refresh(&s, &f, 0, 0, &trouble);
    assert_int_equal(trouble.kept, 2);
    assert_true(all_finite(s.basis[LEFT], 128));
    release();
}

static void which_parameters(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    struct factored f;
    param_add(&t, "", "embed", INIT_NORMAL, 1, PARAM_SHAPE(1000, 20));
    param_add(&t, "", "W1", INIT_NORMAL, 1, PARAM_SHAPE(4, 20, 80));
    param_add(&t, "", "square", INIT_UNIFORM, 1, PARAM_SHAPE(64, 64));
    param_add(&t, "", "norm", INIT_ONE, 0, PARAM_SHAPE(4, 20));
    param_add(&t, "", "bias", INIT_NORMAL, 1, PARAM_SHAPE(64));
    param_add(&t, "", "conv", INIT_UNIFORM, 1, PARAM_SHAPE(64, 1, 4));
    param_add(&t, "", "huge", INIT_NORMAL, 1, PARAM_SHAPE(100, 100));
    assert_int_equal(factored_of(&f, &t.p[0], 64), 1);
    assert_true(f.matrices == 1 && !f.has[LEFT] && f.has[RIGHT] && factor_largest(&f) == 20);
    assert_int_equal(factored_of(&f, &t.p[1], 64), 1);
    assert_true(f.matrices == 4 && f.has[LEFT] && !f.has[RIGHT] && factor_dim(&f, LEFT) == 20);
    assert_int_equal(factor_reals(&f), 4 * 2 * 20 * 20);
    assert_int_equal(factored_of(&f, &t.p[2], 64), 1);
    assert_true(f.has[LEFT] && f.has[RIGHT]);
    for (int i = 3; i < 7; i++) assert_int_equal(factored_of(&f, &t.p[i], 64), 0);
    param_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_is_adamw),
        cmocka_unit_test(plain_writing),
        cmocka_unit_test(refresh_converges),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(trouble_is_survived),
        cmocka_unit_test(which_parameters),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
