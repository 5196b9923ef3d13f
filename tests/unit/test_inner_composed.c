/* SPDX-License-Identifier: Apache-2.0 */
/* The composition of inner model and inner step, for pairs that no layer of the program has: models
 * with six parts and three rates, a step with momenta and a rate of its own, outputs before the
 * step, two losses. */
#include "src/kernels/inner_linear.h"
#include "src/kernels/inner_mlp.h"
#include "src/kernels/inner_plain.h"
#include "tests/lib/inner_gated.h"
#include "tests/lib/inner_momentum.h"
#include "tests/unit/inner_case.h"

static const struct inner pairs[] = {
    { .name = "gated", .model = &inner_gated, .step = &inner_plain },
    { .name = "gated, momentum", .model = &inner_gated, .step = &inner_momentum },
    { .name = "gated, momentum, before", .model = &inner_gated, .step = &inner_momentum,
      .output_before = 1, .loss = INNER_DOT },
    { .name = "gated, plain, before", .model = &inner_gated, .step = &inner_plain,
      .output_before = 1 },
    { .name = "linear, momentum", .model = &inner_linear, .step = &inner_momentum,
      .loss = INNER_DOT },
    { .name = "mlp, momentum, before", .model = &inner_mlp, .step = &inner_momentum,
      .output_before = 1 },
    { .name = "mlp, plain", .model = &inner_mlp, .step = &inner_plain, .loss = INNER_DOT },
};
static const int rows[] = { 1, 2, 7, 16 };
enum { PAIRS = sizeof pairs / sizeof *pairs, ROWS = sizeof rows / sizeof *rows, F = 6 };

/* Some of the sets, norm and residual in all combinations. */
static const int without[] = { 0, WITHOUT_NORM, WITHOUT_RESIDUAL,
                               WITHOUT_NORM | WITHOUT_RESIDUAL | WITHOUT_BIAS };
enum { SETS = sizeof without / sizeof *without };

/* f(pair, rows, set, complete) for all of them. */
static void for_all(void (*f)(struct inner_case *c))
{
    for (int pair = 0; pair < PAIRS; pair++)
        for (int row = 0; row < ROWS; row++)
            for (int set = 0; set < SETS; set++)
                for (int complete = 0; complete < 2; complete++) {
                    struct inner_case c = inner_case(&pairs[pair], rows[row], F);
                    c.in.without = without[set];
                    c.in.complete = complete;
                    for (int i = 0; i < c.in.r; i++)  /* the momentum's coefficient */
                        if (c.f->step->rates)
                            c.rates[c.f->model->rates * c.in.ld + i] += (real)0.7;
                    f(&c);
                    release();
                }
}

static void the_state_has_all_parts(void **state)
{
    (void)state;
    static const char *const names[] = { "W1", "b1", "W2", "b2", "W3", "b3", "momentum_W1",
                                         "momentum_b1", "momentum_W2", "momentum_b2",
                                         "momentum_W3", "momentum_b3" };
    struct inner_part p;
    int64_t n = 0;
    int i = 0;
    for (; inner_part(&pairs[1], i, F, &p); i++) {
        assert_string_equal(p.name, names[i]);
        assert_int_equal(p.start == INNER_ZERO, i >= 6);
        n += p.rows * p.cols;
    }
    assert_int_equal(i, 12);
    assert_int_equal(n, 2 * (3 * 2 * F * F + 5 * F));
    assert_int_equal(inner_reals(&pairs[1], 4, F).state, n);
    assert_int_equal(inner_reals(&pairs[1], 4, F).sum, n / 2 + 1);
    assert_int_equal(inner_token_rates(&pairs[1]), 4);
}

/* Token by token; to the bit, except where outputs before the step are computed all at once. */
static void check_tokens(struct inner_case *c)
{
    const int r = c->in.r;
    const double off = c->f->output_before ? 50 * REAL_EPS : 0;
    real *O = noise(r * F, 20), *next = noise(c->size.state, 21), *igrad = noise(c->size.sum, 22);
    real *row_O = noise(r * F, 23), *row_igrad = zeros(c->size.sum);
    real *now = copy(c->state, c->size.state);
    const struct inner_result to = { .O = O, .next = c->in.complete ? next : NULL,
                                     .igrad = igrad };
    inner_batch_forward(c->f, &to, c->state, &c->in, c->work);
    for (int i = 0; i < r; i++) {
        const struct inner_in row = inner_case_row(&c->in, i);
        inner_token(c->f, row_O + i * F, now, row_igrad, &row, c->work);
    }
    assert_true(inner_distance(row_O, O, r * F) <= off);
    if (c->in.complete) {
        assert_true(inner_distance(now, next, c->size.state) <= off);
        assert_other(now, c->state, c->size.state);
        for (int64_t i = 0; i < c->size.sum; i++) assert_true(row_igrad[i] == 0);
    } else {
        assert_same(now, c->state, c->size.state);
        assert_true(inner_distance(row_igrad, igrad, c->size.sum) <= off);
    }
}

static void tokens_are_the_mini_batch(void **state)
{
    (void)state;
    for_all(check_tokens);
}

/* Row i of the output changes with rows j <= i, its own only if it is after the step. */
static void check_order(struct inner_case *c)
{
    const int r = c->in.r, changed = r / 2;
    real *O = noise(r * F, 20), *other = noise(r * F, 21);
    const struct inner_result to = { .O = O }, again = { .O = other };
    inner_batch_forward(c->f, &to, c->state, &c->in, c->work);
    c->values[changed * F] += 1;
    inner_batch_forward(c->f, &again, c->state, &c->in, c->work);
    assert_same(O, other, changed * F);
    if (c->f->output_before) assert_same(O, other, r * F);
    else assert_other(O + changed * F, other + changed * F, F);
}

static void outputs_see_what_they_may(void **state)
{
    (void)state;
    for_all(check_order);
}

#ifdef TTT_F64
/* G is the sum of lr_j d loss_j / d state; the loss of a row is the model's own. */
static void gradient_is_that_of_the_loss(void **state)
{
    (void)state;
    const double h = 1e-6;
    for (int pair = 0; pair < PAIRS; pair++)
        for (int set = 0; set < SETS; set++) {
            const struct inner_model *m = pairs[pair].model;
            struct inner_case c = inner_case(&pairs[pair], 3, F);
            const int64_t n = inner_model_reals(m, F);
            real *G = zeros(n);
            c.in.without = without[set];
            for (int i = 0; i < m->rates * c.in.ld; i++) c.rates[i] = i % c.in.ld ? 0.5 : 2;
            m->gradient(G, c.state, &c.in, c.work);
            struct inner_part p;
            int64_t at = 0;
            for (int i = 0; m->part(i, F, &p); at += p.rows * p.cols, i++) {
                const int still = p.rows == 1 && without[set] & WITHOUT_BIAS;
                for (int64_t k = at; k < at + p.rows * p.cols; k++) {
                    double want = 0;
                    for (int j = 0; j < 3; j++) {
                        const struct inner_in row = inner_case_row(&c.in, j);
                        const real keep = c.state[k];
                        c.state[k] = keep + h;
                        const double plus = m->loss(c.state, &row, c.work);
                        c.state[k] = keep - h;
                        want += row.lr[0] * (plus - m->loss(c.state, &row, c.work)) / (2 * h);
                        c.state[k] = keep;
                    }
                    assert_true(fabs(G[k] - (still ? 0 : want)) < 1e-8 * (1 + fabs(want)));
                }
            }
            release();
        }
}

/* <u, O> + <v, next>, whose gradient inner_outcome() takes. */
static double objective(const struct inner_case *c)
{
    const int64_t rF = (int64_t)c->in.r * F, S = c->size.state;
    real *O = zeros(rF), *next = copy(c->state, S);
    const struct inner_result to = { .O = O, .next = c->in.complete ? next : NULL };
    inner_batch_forward(c->f, &to, c->state, &c->in, c->work);
    const double v = dot(noise(rF, 14), O, rF) + dot(scaled(S, 13, 0.1, 0), next, S);
    for (int i = 0; i < 4; i++) mem_free(held[--n_held]);
    return v;
}

/* Along a random direction of one input. */
static void check_direction(struct inner_case *c, const char *name, real *x, const real *grad,
                            int64_t n)
{
    const double h = 1e-4;
    const real *direction = noise(n, 30), *keep = copy(x, n);
    double v[4];
    for (int k = 0; k < 4; k++) {
        const double step = h * (k < 2 ? k - 2 : k - 1);
        for (int64_t i = 0; i < n; i++) x[i] = keep[i] + step * direction[i];
        v[k] = objective(c);
    }
    memcpy(x, keep, (size_t)n * sizeof *x);
    const double want = (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * h);
    const double got = dot(grad, direction, n);
    if (fabs(got - want) < 1e-8 * (1 + fabs(want))) return;
    fail_msg("%s, %d rows, without %d, complete %d: %s has slope %.10g, gradient %.10g", c->f->name,
             c->in.r, c->in.without, c->in.complete, name, want, got);
}

static void check_backward(struct inner_case *c)
{
    const int64_t rF = (int64_t)c->in.r * F;
    const struct inner_outcome o = inner_outcome(c);
    check_direction(c, "Q", c->queries, o.grads.dQ, rF);
    check_direction(c, "X", c->keys, o.grads.dX, rF);
    check_direction(c, "V", c->values, o.grads.dV, rF);
    check_direction(c, "lr", c->rates, o.grads.dlr, (int64_t)inner_token_rates(c->f) * c->in.ld);
    check_direction(c, "tok", c->tok, o.grads.dtok, c->in.r);
    check_direction(c, "gamma", c->gamma, o.grads.dgamma, F);
    check_direction(c, "beta", c->beta, o.grads.dbeta, F);
    if (!(c->in.without & WITHOUT_BIAS))  /* a bias that is switched off stays zero */
        check_direction(c, "state", c->state, o.dstate, c->size.state);
}

static void backward_is_the_derivative(void **state)
{
    (void)state;
    for_all(check_backward);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_has_all_parts),
        cmocka_unit_test(tokens_are_the_mini_batch),
        cmocka_unit_test(outputs_see_what_they_may),
#ifdef TTT_F64
        cmocka_unit_test(gradient_is_that_of_the_loss),
        cmocka_unit_test(backward_is_the_derivative),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
