/* SPDX-License-Identifier: Apache-2.0 */
/* test_rmsnorm.c -- forward against plain sums, backward against slopes. */
#include "tests/unit/numeric.h"

#include "src/kernels/rmsnorm.h"

static const double eps = 1e-6;
static const struct { int N, C; } shapes[] = { { 1, 1 }, { 1, 7 }, { 7, 67 }, { 3, 160 },
                                              { 67, 16 }, { 300, 13 }, { 2, 700 } };
#define SHAPES (sizeof shapes / sizeof *shapes)

/* loss = <u, forward(x, w)>, in double. */
struct plain { double *x, *w, *u, *y; int N, C; };

static void plain_forward(struct plain *p)
{
    for (int n = 0; n < p->N; n++) {
        double sum = 0;
        for (int c = 0; c < p->C; c++) sum += p->x[n * p->C + c] * p->x[n * p->C + c];
        for (int c = 0; c < p->C; c++)
            p->y[n * p->C + c] = p->w[c] * p->x[n * p->C + c] / sqrt(sum / p->C + eps);
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
    real *x = noise(NC, 1), *w = noise(C, 2), *u = noise(NC, 3);
    real *y = zeros(NC), *r = zeros(N), *dx = noise(NC, 4), *dw = noise(C, 5);
    real *dx0 = copy(dx, NC), *dw0 = copy(dw, C);
    struct plain p = { widen(x, NC), widen(w, C), widen(u, NC), widen(y, NC), N, C };

    plain_forward(&p);
    rmsnorm_forward(y, r, x, w, N, C, eps);
    assert_close(y, p.y, NC, ULPS(4));

    const size_t bytes = (size_t)bf16_rows_size(N, C) * sizeof(bf16);
    bf16 *rows = hold(bf16_rows_size(N, C), sizeof *rows), *want = hold((int64_t)bytes, 1);
    real *r2 = zeros(N);
    memset(rows, 0xff, bytes);
    bf16_rows(want, y, C, N, C);
    rmsnorm_rows(rows, r2, x, w, N, C, eps);
    assert_memory_equal(rows, want, bytes);
    assert_same(r2, r, N);

    rmsnorm_backward(dx, dw, u, x, w, r, N, C);
    double *gx = slopes(loss, &p, p.x, NC), *gw = slopes(loss, &p, p.w, C);
    for (int i = 0; i < NC; i++) gx[i] += (double)dx0[i];    /* += */
    for (int i = 0; i < C; i++) gw[i] += (double)dw0[i];
    assert_close(dx, gx, NC, 1e-9 + ULPS(20));
    assert_close(dw, gw, C, 1e-9 + ULPS(20));

    rmsnorm_forward(x, r, x, w, N, C, eps);                  /* in place */
    assert_same(x, y, NC);
    release();
}

static void values_and_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < SHAPES; k++) agrees_with_plain_sums(shapes[k].N, shapes[k].C);
}

/* Without eps a row of zeros would divide by zero. */
static void a_row_of_zeros_stays_finite(void **state)
{
    (void)state;
    real x[7] = { 0 }, w[7] = { 1, 1, 1, 1, 1, 1, 1 }, y[7], r[1];
    rmsnorm_forward(y, r, x, w, 1, 7, eps);
    for (int i = 0; i < 7; i++) assert_true(y[i] == 0);
    assert_true(fabs((double)r[0] - 1000) < 0.01);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    enum { N = 611, C = 131 };
    real *x = noise(N * C, 1), *w = noise(C, 2), *u = noise(N * C, 3), *r = zeros(N);
    real *out[4];
    for (int t = 1; t <= 3; t++) {
        real *o = out[t] = zeros(2 * N * C + C);             /* y, dx, dw */
        omp_set_num_threads(t);
        rmsnorm_forward(o, r, x, w, N, C, eps);
        rmsnorm_backward(o + N * C, o + 2 * N * C, u, x, w, r, N, C);
    }
    assert_same(out[1], out[2], 2 * N * C + C);
    assert_same(out[1], out[3], 2 * N * C + C);

    u[N * C - 1] += 1;                                       /* the comparison can fail */
    memset(out[2] + N * C, 0, (N * C + C) * sizeof(real));
    rmsnorm_backward(out[2] + N * C, out[2] + 2 * N * C, u, x, w, r, N, C);
    assert_other(out[1], out[2], 2 * N * C + C);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(a_row_of_zeros_stays_finite),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
