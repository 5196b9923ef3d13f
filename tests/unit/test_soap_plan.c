/* SPDX-License-Identifier: Apache-2.0 */
/* test_soap_plan.c -- whose matrix it is: everybody's share is counted once, nobody has much more
 * than the others, and predictions count it. */
#include "tests/unit/numeric.h"

#include <stdlib.h>

#include "src/base/status.h"
#include "src/forecast/cost.h"
#include "src/model/soap_plan.h"

static const struct dims dims = { .layer = "ttt_linear", .V = 500, .L = 5, .C = 64, .H = 4,
    .E = 150, .K = 4, .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1,
    .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.02, .inner_lr = 1 };
static const struct factor_opts opts = { 128, 128, 10 };

static void all_work_is_shared(void **state)
{
    (void)state;
    struct model *m;
    assert_int_equal(model_shape(&m, &dims), OK);
    for (int D = 1; D <= 3; D++)
        for (int P = 1; P <= 5; P++)
            for (int S = 1; S <= 3; S++) {
                const struct grid_shape g = { D, P, S };
                struct soap_plan p;
                double flops = 0, most = 0, largest = 0, sum = 0;
                int64_t reals = 0, state_reals = 0, matrices = 0, given = 0;
                soap_plan_init(&p, m, &opts, &g);
                for (int i = 0; i < m->params.count; i++) {
                    struct factored f;
                    const int is = factored_of(&f, &m->params.p[i], opts.max_dim);
                    assert_int_equal(p.owner[i] == SOAP_NONE, !is);
                    if (!is) continue;
                    const int holders = D * S * (i == m->i_embed && P > 1 ? 2 : 1);
                    assert_true(p.owner[i] >= 0 && p.owner[i] < holders);
                    const double x = factor_flops(&f, opts.every);
                    flops += x;
                    largest = fmax(largest, x);
                    matrices += m->params.p[i].n;
                    reals += 2 * m->params.p[i].n + factor_reals(&f);
                }
                for (int r = 0; r < D * P * S; r++) {
                    sum += p.load[r].flops;
                    most = fmax(most, p.load[r].flops);
                    state_reals += p.load[r].state;
                    given += p.load[r].gradients;
                }
                assert_true(fabs(sum / flops - 1) < 1e-12);
                assert_true(state_reals == reals && given == matrices);
                /* Largest first never ends above the average by more than one matrix. */
                if (P == 1) assert_true(most <= flops / (D * S) + largest);
                soap_plan_done(&p);
            }
    model_free(m);
}

static void spread_is_everybodys(void **state)
{
    (void)state;
    const struct factor_opts o = { 128, 32, 10 };
    const struct grid_shape g = { 2, 1, 2 };
    struct model *m;
    struct soap_plan p;
    assert_int_equal(model_shape(&m, &dims), OK);
    soap_plan_init(&p, m, &o, &g);
    const int q = param_find(&m->params, "model.layers.0.seq_modeling_block.q_proj.weight");
    const int W1 = param_find(&m->params, "model.layers.0.seq_modeling_block.W1");
    assert_int_equal(p.owner[q], SOAP_SPREAD);
    assert_true(p.owner[W1] >= 0);                         /* stacks are whole */
    for (int r = 1; r < 4; r++)
        assert_true(fabs(p.load[r].flops / p.load[0].flops - 1) < 0.1);
    soap_plan_done(&p);
    model_free(m);
}

static void predictions_count_it(void **state)
{
    (void)state;
    const struct pass_opts po = { .context = 32, .slice_tokens = 32, .micro_batch = 1,
                                  .inner_group = 4, .mask_token = -1 };
    const struct grid_shape one = { 1, 1, 1 };
    const struct rates r = { { 1, 16 }, { 2, 100, 10 }, { 1, 1, 1 }, { 1, 10, 10, 1 } };
    struct run_shape run = { .dims = dims, .pass = po, .reduction = REDUCE_EXACT, .sequences = 4 };
    struct sim_result plain, soap;
    struct cost without, with;
    struct memory a, b;

    assert_int_equal(cost_init(&without, &run, &r), OK);
    run.soap = opts;
    assert_int_equal(cost_init(&with, &run, &r), OK);
    assert_int_equal(cost_grid(&without, &one), OK);
    assert_int_equal(cost_grid(&with, &one), OK);
    step_sim(&plain, &without.in, NULL);
    step_sim(&soap, &with.in, NULL);
    assert_true(fabs(soap.step_s - plain.step_s - with.memory.soap.load[0].flops / 1e11) < 1e-9);
    memory_of(&a, &without.memory, 0);
    memory_of(&b, &with.memory, 0);
    const int64_t moments = b.line[MEMORY_MOMENTS] - a.line[MEMORY_MOMENTS];
    const int64_t scratch = b.line[MEMORY_SCRATCH] - a.line[MEMORY_SCRATCH];
    assert_true(moments > 0 && scratch > 0);
    assert_int_equal(b.total - a.total, moments + scratch);
    sim_result_done(&plain);
    sim_result_done(&soap);
    cost_done(&without);
    cost_done(&with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_work_is_shared),
        cmocka_unit_test(spread_is_everybodys),
        cmocka_unit_test(predictions_count_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
