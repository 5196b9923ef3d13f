/* SPDX-License-Identifier: Apache-2.0 */
/* test_layernorm.c -- forward against plain sums, backward against slopes. */
#include "tests/unit/numeric.h"

#include "src/kernels/layernorm.h"

static const double eps = 1e-6;
static const struct { int N, C; } shapes[] = { { 1, 7 }, { 7, 67 }, { 3, 160 }, { 67, 16 },
                                              { 300, 13 } };
#define SHAPES (sizeof shapes / sizeof *shapes)

struct plain { double *x, *gamma, *beta, *u, *y; int N, C; };

static void plain_forward(struct plain *p)
{
    for (int n = 0; n < p->N; n++) {
        const double *x = p->x + n * p->C;
        double mean = 0, var = 0;
        for (int c = 0; c < p->C; c++) mean += x[c] / p->C;
        for (int c = 0; c < p->C; c++) var += (x[c] - mean) * (x[c] - mean) / p->C;
        for (int c = 0; c < p->C; c++)
            p->y[n * p->C + c] = (x[c] - mean) / sqrt(var + eps) * p->gamma[c] + p->beta[c];
    }
}

static double loss(void *ctx)
{
    struct plain *p = ctx;
    double sum = 0;
    plain_forward(p);
    for (int i = 0; i < p->N * p->C; i++) sum += p->u[i] * p->y[i];
    return sum;
}

static void agrees_with_plain_sums(int N, int C)
{
    const int NC = N * C;
    real *x = noise(NC, 1), *gamma = noise(C, 2), *beta = noise(C, 3), *u = noise(NC, 4);
    real *y = zeros(NC), *mu = zeros(N), *rstd = zeros(N), *dx = noise(NC, 5);
    real *dgamma = noise(C, 6), *dbeta = noise(C, 7);
    real *dgamma0 = copy(dgamma, C), *dbeta0 = copy(dbeta, C);
    struct plain p = { widen(x, NC), widen(gamma, C), widen(beta, C), widen(u, NC), widen(y, NC),
                       N, C };

    plain_forward(&p);
    const struct layernorm l = { N, C, x, gamma, beta, eps, mu, rstd };
    layernorm_forward(y, &l);
    assert_close(y, p.y, NC, ULPS(6));

    layernorm_backward(&(struct layernorm_grad){ dx, dgamma, dbeta }, u, &l);   /* dx is set */
    double *gx = slopes(loss, &p, p.x, NC), *gg = slopes(loss, &p, p.gamma, C);
    double *gb = slopes(loss, &p, p.beta, C);
    for (int i = 0; i < C; i++) {
        gg[i] += (double)dgamma0[i];
        gb[i] += (double)dbeta0[i];
    }
    assert_close(dx, gx, NC, 1e-9 + ULPS(20));
    assert_close(dgamma, gg, C, 1e-9 + ULPS(20));
    assert_close(dbeta, gb, C, 1e-9 + ULPS(20));

    layernorm_forward(x, &l);                                             /* in place */
    assert_same(x, y, NC);
    release();
}

static void values_and_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < SHAPES; k++) agrees_with_plain_sums(shapes[k].N, shapes[k].C);
}

/* E[x^2] - E[x]^2 in float would lose all of a variance of 1 next to a mean of 10^4. */
static void a_large_mean_costs_no_variance(void **state)
{
    (void)state;
    enum { C = 67 };
    real *x = noise(C, 1), *one = zeros(C), *zero = zeros(C), *y = zeros(C), mu, rstd;
    for (int c = 0; c < C; c++) {
        one[c] = 1;
        x[c] += 10000;
    }
    struct plain p = { widen(x, C), widen(one, C), widen(zero, C), NULL, widen(y, C), 1, C };
    plain_forward(&p);
    layernorm_forward(y, &(struct layernorm){ 1, C, x, one, zero, eps, &mu, &rstd });
    /* What remains is the rounding of the mean to a real: half a unit of 10^4. */
    assert_close(y, p.y, C, 10000 * ULPS(1));
    double sum = 0;
    for (int c = 0; c < C; c++) sum += (double)y[c] * (double)y[c];
    assert_true(fabs(sum / C - 1) < 1e-5);
    release();
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    enum { N = 611, C = 131, ALL = 2 * N * C + 2 * C };
    real *x = noise(N * C, 1), *gamma = noise(C, 2), *beta = noise(C, 3), *u = noise(N * C, 4);
    real *mu = zeros(N), *rstd = zeros(N), *out[4];
    const struct layernorm l = { N, C, x, gamma, beta, eps, mu, rstd };
    for (int t = 1; t <= 3; t++) {
        real *y = out[t] = zeros(ALL), *dx = y + N * C, *dgamma = dx + N * C;
        omp_set_num_threads(t);
        layernorm_forward(y, &l);
        layernorm_backward(&(struct layernorm_grad){ dx, dgamma, dgamma + C }, u, &l);
    }
    assert_same(out[1], out[2], ALL);
    assert_same(out[1], out[3], ALL);
    out[2][ALL - 1] += (real)1e-3;                        /* the comparison can fail */
    assert_other(out[1], out[2], ALL);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(a_large_mean_costs_no_variance),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
