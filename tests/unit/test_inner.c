/* SPDX-License-Identifier: Apache-2.0 */
/* The fused bodies of the inner loop against the composition of inner model and inner step, which
 * is their definition; and the activation of TTT-MLP. */
#include "src/kernels/inner_gelu.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"
#include "tests/unit/inner_case.h"

#define ALL_PARTS (WITHOUT_NORM | WITHOUT_RESIDUAL | WITHOUT_BIAS)

static const struct inner *const fused[] = { &ttt_linear, &ttt_mlp };
static const struct { int r, F; } shapes[] = { { 16, 64 }, { 1, 8 }, { 5, 6 }, { 33, 18 } };
enum { FUSED = sizeof fused / sizeof *fused, SHAPES = sizeof shapes / sizeof *shapes };

/* [E18], [E19] and what is derived from them, with 1 - tanh^2 = 1 / cosh^2, which keeps its
 * digits. */
static void gelu_is_its_definition(void **state)
{
    (void)state;
    enum { N = 4001 };
    const double root = 0.79788456080286535588, a = 0.79788456, c = 0.044715, d = 0.1070322243;
    real *x = zeros(N), *y = zeros(N), *same1 = zeros(N), *same2 = zeros(N);
    real *d1 = zeros(N), *d2 = zeros(N), *f = zeros(N), *df = zeros(N);
    for (int i = 0; i < N; i++) x[i] = (real)((i - N / 2) * 0.006);
    x[0] = -1000;
    x[N - 1] = 1000;
    inner_gelu(y, x, N);
    inner_gelu_derivative(same1, d1, x, N);
    inner_gelu_slope(same2, f, x, N);
    assert_same(y, same1, N);
    assert_same(y, same2, N);
    inner_gelu_slope_derivatives(y, d2, f, df, x, N);
    assert_same(y, same1, N);
    assert_same(d1, d2, N);
    for (int i = 0; i < N; i++) {
        const double z = (double)x[i], off = 6 * REAL_EPS, zz = z * z;
        const double u = root * z * (1 + c * zz), v = a * z * (1 + c * zz);
        const double s = 1 / (1 + exp(-2 * u)), w = 1 / (1 + exp(-2 * v));
        const double p = pow(cosh(u), -2), r = pow(cosh(v), -2);
        const double q = a + d * zz, dv = a * (1 + 3 * c * zz);
        assert_true(fabs((double)y[i] - z * s) < off * (fabs(z) + 1));
        assert_true(fabs((double)d1[i] - z * p * root * (1 + 3 * c * zz) / 2 - s) < off);
        assert_true(fabs((double)f[i] - z * r * q / 2 - w) < off);
        const double slope = r * (q + dv) / 2 + z * r * (d * z - tanh(v) * dv * q);
        assert_true(fabs((double)df[i] - slope) < off);
    }
    release();
}

/* The same pair of model and step without its fused body. */
static struct inner composed(const struct inner *f)
{
    struct inner plain = *f;
    plain.fused = NULL;
    return plain;
}

/* One mini-batch both ways, everything that it gives. */
static void check_fused(const struct inner *f, int shape, int without, int complete)
{
    const struct inner plain = composed(f);
    struct inner_case a = inner_case(f, shapes[shape].r, shapes[shape].F);
    struct inner_case b = inner_case(&plain, shapes[shape].r, shapes[shape].F);
    a.in.without = b.in.without = without;
    a.in.loss = b.in.loss = shape % 2 ? INNER_DOT : INNER_REGRESSION;
    a.in.complete = b.in.complete = complete;
    const struct inner_outcome x = inner_outcome(&a), y = inner_outcome(&b);
    const double off = 50 * REAL_EPS;

    assert_int_equal(a.size.state, b.size.state);
    assert_int_equal(a.size.sum, b.size.sum);
    assert_true(inner_distance(x.O, y.O, (int64_t)a.in.r * a.in.F) < off);
    assert_true(!complete || inner_distance(x.next, y.next, a.size.state) < off);
    assert_true(inner_distance(x.igrad, y.igrad, a.size.sum) < off);
    assert_true(fabs(x.loss - y.loss) < off * (1 + fabs(y.loss)));
    assert_true(inner_distance(x.dstate, y.dstate, a.size.state) < off);
    assert_true(inner_distance(x.all_grads, y.all_grads, x.n_grads) < off);
    release();
}

static void fused_is_composed(void **state)
{
    (void)state;
    for (int i = 0; i < FUSED; i++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int without = 0; without <= ALL_PARTS; without++)
                for (int complete = 0; complete < 2; complete++)
                    check_fused(fused[i], shape, without, complete);
}

/* Token by token, as in generation: the primal form, fused and composed, against the dual form. */
static void check_tokens(const struct inner *f, int shape, int without, int complete)
{
    const struct inner plain = composed(f);
    const struct inner *const ways[] = { f, &plain };
    for (int way = 0; way < 2; way++) {
        struct inner_case c = inner_case(ways[way], shapes[shape].r, shapes[shape].F);
        const int r = c.in.r, F = c.in.F;
        real *O = noise(r * F, 20), *next = noise(c.size.state, 21), *igrad = noise(c.size.sum, 22);
        real *row_O = noise(r * F, 23), *row_igrad = zeros(c.size.sum);
        const struct inner_result to = { .O = O, .next = complete ? next : NULL, .igrad = igrad };
        c.in.without = without;
        c.in.complete = complete;
        inner_batch_forward(f, &to, c.state, &c.in, noise(inner_reals(f, r, F).work, 24));
        for (int i = 0; i < r; i++) {
            const struct inner_in row = inner_case_row(&c.in, i);
            inner_token(ways[way], row_O + i * F, c.state, row_igrad, &row, c.work);
        }
        assert_true(inner_distance(row_O, O, r * F) < 400 * REAL_EPS);
        if (complete) assert_true(inner_distance(c.state, next, c.size.state) < 400 * REAL_EPS);
        else assert_true(inner_distance(row_igrad, igrad, c.size.sum) < 400 * REAL_EPS);
        for (int64_t i = 0; complete && i < c.size.sum; i++) assert_true(row_igrad[i] == 0);
        release();
    }
}

static void tokens_are_the_mini_batch(void **state)
{
    (void)state;
    for (int i = 0; i < FUSED; i++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int without = 0; without <= ALL_PARTS; without++)
                for (int complete = 0; complete < 2; complete++)
                    check_tokens(fused[i], shape, without, complete);
}

/* The state may move where it is, and moves. */
static void a_step_in_place(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * FUSED; i++) {
        const struct inner plain = composed(fused[i / 2]);
        struct inner_case c = inner_case(i % 2 ? &plain : fused[i / 2], 5, 18);
        const struct inner_outcome o = inner_outcome(&c);
        const struct inner_result here = { .O = noise(5 * 18, 20), .next = c.state };
        assert_other(o.next, c.state, c.size.state);
        inner_batch_forward(c.f, &here, c.state, &c.in, c.work);
        assert_same(o.next, c.state, c.size.state);
        release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gelu_is_its_definition),
        cmocka_unit_test(fused_is_composed),
        cmocka_unit_test(tokens_are_the_mini_batch),
        cmocka_unit_test(a_step_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
