/* SPDX-License-Identifier: Apache-2.0 */
/* Costs and memory of a grid against the model's own counts, the budget of one process, the
 * published size of a carry; and rates files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/forecast/rates.h"
#include "src/forecast/cost.h"
#include "src/model/flops.h"

#include <cmocka.h>

static struct dims dims_of(int tied)
{
    struct dims d = { .layer = "ttt_linear", .V = 1000, .L = 5, .C = 96, .H = 4, .E = 160, .K = 16,
                      .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = tied,
                      .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.02,
                      .inner_lr = 1 };
    return d;
}

static const struct pass_opts opts = { .context = 320, .slice_tokens = 64, .micro_batch = 2,
                                       .inner_group = 2, .mask_token = -1 };

/* A run that saves nothing and evaluates nothing. */
static struct run_shape run_of(const struct dims *d, const struct pass_opts *o,
                               enum reduction mode, int64_t sequences)
{
    return (struct run_shape){ .dims = *d, .pass = *o, .reduction = mode, .sequences = sequences };
}

static int init(struct cost *c, const struct dims *d, const struct pass_opts *o,
                enum reduction mode, int64_t sequences, const struct rates *r)
{
    const struct run_shape run = run_of(d, o, mode, sequences);
    return cost_init(c, &run, r);
}

/* Products at 1 GFLOP/s, everything else at once. */
static struct rates only_products(void)
{
    return (struct rates){ .node = { 4, 100 }, .rank = { 1, 1, 1e30 }, .share = { 1, 1, 1 },
                           .network = { 0, 1e30, 0, 1e30 } };
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * fabs(want))) fail_msg("%.17g, expected %.17g", got, want);
}

/* One rank at 1 GFLOP/s takes as many seconds as the model has GFLOPs. */
static void products_are_the_models(void **state)
{
    (void)state;
    const struct grid_shape one = { 1, 1, 1 };
    const struct rates r = only_products();
    for (int remat = 0; remat < 2; remat++) {
        const struct dims d = dims_of(1);
        struct pass_opts o = opts;
        struct cost c;
        struct sim_result s;
        o.remat = remat ? REMAT_BLOCK : REMAT_NONE;
        assert_int_equal(init(&c, &d, &o, REDUCE_EXACT, 7, &r), OK);
        assert_int_equal(cost_grid(&c, &one), OK);
        step_sim(&s, &c.in, NULL);
        const double again = remat ? flops_blocks(c.memory.shape, o.context) : 0;
        assert_near(s.step_s, 1e-9 * 7 * o.context * (model_flops(c.memory.shape, o.context) + again));
        sim_result_done(&s);
        cost_done(&c);
    }
}

/* Heads of a width of their own. */
static struct dims attention(int groups)
{
    struct dims d = dims_of(1);
    strcpy(d.layer, "attention");
    d.Hkv = groups;
    d.K = 1;
    d.F = 40;
    d.qkv_bias = 1;
    d.gate = d.share_qk = d.pre_conv = 0;
    return d;
}

/* The same where a token's work depends on its place, and the last unit is short. */
static void pairs_are_the_models(void **state)
{
    (void)state;
    const struct rates r = only_products();
    for (int S = 1; S <= 5; S += 2)
        for (int mode = 0; mode < 2; mode++) {
            const struct grid_shape g = { 1, 1, S };
            const struct dims d = attention(2);
            struct pass_opts o = opts;
            struct cost c;
            struct sim_result s;
            double busy = 0;
            o.context = 290;
            o.sequence_mode = mode ? SEQ_HEADS : SEQ_WAVEFRONT;
            assert_int_equal(init(&c, &d, &o, REDUCE_EXACT, 7, &r), OK);
            assert_int_equal(cost_grid(&c, &g), OK);
            step_sim(&s, &c.in, NULL);
            for (int i = 0; i < S; i++) busy += s.rank[i].busy_s;
            assert_near(busy, 1e-9 * 7 * o.context * model_flops(c.memory.shape, o.context));
            assert_true(model_flops(c.memory.shape, 2 * o.context) > model_flops(c.memory.shape, o.context));
            sim_result_done(&s);
            cost_done(&c);
        }
}

/* Products of a token: q, k, v, o, the feed-forward, the head; and 4 a pair and head's element. */
static void flops_count_the_heads(void **state)
{
    (void)state;
    const struct dims d = attention(2);
    const double H = 4 * 40, KV = 2 * 40, C = 96, context = 320;
    struct model *m;
    assert_int_equal(model_shape(&m, &d), OK);
    const double layer = 2 * (2 * C * H + 2 * C * KV + 3 * C * 160) + 4 * H * (context + 1) / 2;
    assert_near(model_flops(m, (int)context), 3 * (d.L * layer + 2 * C * d.V));
    assert_int_equal(m->params.n, d.L * (2 * 96 * 160 + 2 * 96 * 80 + 3 * 96 * 160 + 2 * 96 +
                                         160 + 2 * 80) +
                                  96 + 96 * 1000);
    model_free(m);
}

/* Keys and values of all tokens before each boundary there, their gradients back. */
static void a_past_grows_from_rank_to_rank(void **state)
{
    (void)state;
    const struct rates r = only_products();
    const struct dims d = attention(2);
    const struct grid_shape g = { 1, 1, 3 };
    struct cost c;
    struct sim_result s;

    assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, 2, &r), OK);
    assert_int_equal(cost_grid(&c, &g), OK);
    step_sim(&s, &c.in, NULL);
    /* 5 units of 64 on 3 ranks: boundaries at 128 and 256 */
    const int64_t token = 2 * 2 * 40 * d.L * 2 * (int64_t)sizeof(real);
    const int64_t want[3] = { 128 * token, (128 + 256) * token, 256 * token };
    for (int i = 0; i < 3; i++) assert_int_equal(s.rank[i].bytes[SIM_CARRIES][0], want[i]);
    /* The second has as many units and room for 128 tokens more, of 2 sequences, there and back. */
    struct memory m[2];
    for (int i = 0; i < 2; i++) memory_of(&m[i], &c.memory, i);
    assert_int_equal(m[1].line[MEMORY_TAPE] - m[0].line[MEMORY_TAPE], 2 * 128 * token);
    sim_result_done(&s);
    cost_done(&c);
}

/* Each rate and share acts on what it should. */
static void rates_act(void **state)
{
    (void)state;
    const struct grid_shape one = { 1, 1, 1 };
    const struct dims d = dims_of(1);
    double step[6];
    for (int i = 0; i < 6; i++) {
        struct rates r = only_products();
        struct cost c;
        struct sim_result s;
        double *const slower[] = { NULL, &r.rank.fp32_gflops, &r.share.forward, &r.share.backward,
                                   &r.share.head, &r.rank.memory_gbytes };
        if (i) *slower[i] /= i == 5 ? 1e30 : 2;
        assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, 2, &r), OK);
        assert_int_equal(cost_grid(&c, &one), OK);
        step_sim(&s, &c.in, NULL);
        step[i] = s.step_s;
        if (i == 5) {  /* sums of layers and of the head once a unit, then updates */
            const double n = (double)c.memory.shape->params.total;
            const double units = 2 * 5, least = 16 * n * units;
            const double update = 3 * 8 + 6 * sizeof(real);  /* sums thrice; w, m, v both ways */
            assert_true(s.step_s - step[0] > 1e-9 * (least + update * n));
            assert_true(s.step_s - step[0] < 1.1e-9 * (least + update * n));
        }
        sim_result_done(&s);
        cost_done(&c);
    }
    assert_near(step[1], 2 * step[0]);
    const double forward = step[2] - step[0], backward = step[3] - step[0];
    assert_near(backward, 2 * forward);
    assert_near(forward + backward + step[4] - step[0], step[0]);
}

/* reference: state 49 920 and 133 120 floats, halos of 2 x 3 inputs */
static void carries_have_the_published_size(void **state)
{
    (void)state;
    const struct { int L, C, H, E; double floats; } sizes[] = {
        { 12, 768, 12, 2048, 49920 + 2 * 3 * 768 }, { 24, 2048, 32, 5504, 133120 + 2 * 3 * 2048 },
    };
    const struct rates r = only_products();
    for (int i = 0; i < 2; i++) {
        struct dims d = dims_of(1);
        struct cost c;
        d.L = sizes[i].L, d.C = sizes[i].C, d.H = sizes[i].H, d.E = sizes[i].E;
        assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, 1, &r), OK);
        assert_near(c.in.all.bytes[OP_SEND_CARRY].unit, sizes[i].floats * sizeof(real));
        assert_near(c.in.all.bytes[OP_SEND_DCARRY].unit, sizes[i].floats * sizeof(real));
        assert_near(c.in.all.bytes[OP_SEND_X].token, d.C * (double)sizeof(real));
        cost_done(&c);
    }
}

/* One rank needs what it allocates; on every grid each element has one owner. */
static void memory_is_what_is_allocated(void **state)
{
    (void)state;
    const struct rates r = only_products();
    for (int kind = 0; kind < 8; kind++) {
        const int tied = kind & 1, exact = kind >> 1 & 1;
        struct dims d = kind < 4 ? dims_of(tied) : attention(2);
        d.tied = tied;
        const enum reduction mode = exact ? REDUCE_EXACT : REDUCE_FAST;
        struct cost c;
        assert_int_equal(init(&c, &d, &opts, mode, 6, &r), OK);
        for (int P = 1; P <= 5; P++)
            for (int S = 1; S <= 5; S++) {
                const struct grid_shape g = { 6 - P, P, S };
                struct sim_result s;
                int64_t own = 0, held = 0;
                assert_int_equal(cost_grid(&c, &g), OK);
                step_sim(&s, &c.in, NULL);
                for (int i = 0; i < s.ranks; i++) {
                    own += s.rank[i].own;
                    held += s.rank[i].held;
                }
                const int64_t embed = (int64_t)d.V * d.C, total = c.memory.shape->params.total;
                assert_int_equal(own, total);
                assert_int_equal(held, g.D * S * (total + (tied && P > 1 ? embed : 0)));
                sim_result_done(&s);
            }
        struct memory m;
        struct pass_bytes pass;
        struct sim_result s;
        const struct grid_shape one = { 1, 1, 1 };
        assert_int_equal(pass_plan(&pass, &d, &opts), OK);
        assert_int_equal(cost_grid(&c, &one), OK);
        step_sim(&s, &c.in, NULL);
        memory_of(&m, &c.memory, 0);
        const int64_t n = c.memory.shape->params.total;
        const int64_t own = 3 * n * (int64_t)sizeof(real);
        const int64_t sums = n * (int64_t)(exact ? sizeof(int64_t) : sizeof(real));
        assert_int_equal(m.allocated, own + sums + pass.tape + pass.logits + pass.scratch);
        assert_int_equal(m.line[MEMORY_TAPE], pass.tape);
        assert_int_equal(m.line[MEMORY_SUMS], 0);
        const int64_t before = m.allocated - m.line[MEMORY_EVALUATION];
        c.memory.run.writers = 8;  /* and a copy of the state while a save is under way */
        c.memory.run.background = 1;
        memory_of(&m, &c.memory, 0);
        assert_int_equal(m.allocated - m.line[MEMORY_EVALUATION], before + own);
        assert_int_equal(m.own_copy, own);  /* which it can do without */
        assert_true(m.line[MEMORY_EVALUATION] > 0);  /* the probe of the checkpoint */
        memory_in_place(&m);
        assert_int_equal(m.allocated - m.line[MEMORY_EVALUATION], before);
        sim_result_done(&s);
        cost_done(&c);
    }
}

/* The tape of a chunk: half the units, half the tape; a stage of fewer layers likewise. */
static void splitting_saves_memory(void **state)
{
    (void)state;
    const struct rates r = only_products();
    const struct dims d = dims_of(1);
    const struct grid_shape grids[] = { { 1, 1, 1 }, { 1, 1, 5 }, { 1, 5, 1 }, { 2, 1, 1 } };
    struct memory m[4];
    struct cost c;

    assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, 2, &r), OK);  /* one micro-batch */
    for (int i = 0; i < 4; i++) {
        struct sim_result s;
        assert_int_equal(cost_grid(&c, &grids[i]), OK);
        step_sim(&s, &c.in, NULL);
        memory_of(&m[i], &c.memory, 0);
        sim_result_done(&s);
    }
    cost_done(&c);
    assert_true(5 * m[1].line[MEMORY_TAPE] < m[0].line[MEMORY_TAPE] + m[0].line[MEMORY_TAPE] / 5);
    assert_true(5 * m[2].line[MEMORY_TAPE] < m[0].line[MEMORY_TAPE] + m[0].line[MEMORY_TAPE] / 2);
    assert_true(100 * m[2].line[MEMORY_LOGITS] < m[0].line[MEMORY_LOGITS] && m[2].line[MEMORY_WEIGHTS] < m[0].line[MEMORY_WEIGHTS]);
    assert_true(m[3].line[MEMORY_TAPE] == m[0].line[MEMORY_TAPE] && m[3].line[MEMORY_WEIGHTS] == m[0].line[MEMORY_WEIGHTS]);
    assert_true(2 * m[3].line[MEMORY_MOMENTS] < m[0].line[MEMORY_MOMENTS] + (1 << 20));
}

static void impossible_work_is_refused(void **state)
{
    (void)state;
    const struct rates r = only_products();
    const struct grid_shape bad[] = { { 1, 6, 1 }, { 1, 1, 6 }, { 0, 1, 1 } };
    struct dims d = dims_of(1);
    struct cost c;

    assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, 6, &r), OK);
    for (int i = 0; i < 3; i++) assert_int_equal(cost_grid(&c, &bad[i]), ERR_CONFIG);
    cost_done(&c);
    assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, (int64_t)1 << 40, &r), ERR_CONFIG);
    cost_done(&c);
    d.H = 7;
    assert_int_equal(init(&c, &d, &opts, REDUCE_EXACT, 6, &r), ERR_CONFIG);
    cost_done(&c);
}

static int read_text(struct rates *r, const char *text)
{
    char path[] = "/tmp/ttt-rates-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    const int rc = rates_read(r, path);
    unlink(path);
    return rc;
}

static void rates_files_are_strict(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "nodes: {ranks: 2}\n", "node: {rank: 2}\n", "node: {ranks: 0}\n", "node: {ranks: 1.5}\n",
        "rank: {fp32_gflops: 0}\n", "rank: {fp32_gflops: -1}\n", "rank: {fp32_gflops: .inf}\n",
        "rank: {fp32_gflops: fast}\n", "network: {within_us: -1}\n", "share: {forward: .nan}\n",
        "rank: {threads: 1, threads: 1}\n", "node: [1]\n", "- 1\n", "node: {ranks: &a 2}\n",
        "model: {width: 8}\n", "train:\n  steps: 3\n", "node: {ranks: 2\n", "\xff\n",
    };
    struct rates a, b;

    assert_int_equal(rates_read(&a, NULL), OK);
    a.rank.fp32_gflops = 123.4567890123;
    a.network.between_us = 1e-7;
    char *text = rates_text(&a);
    assert_int_equal(read_text(&b, text), OK);
    mem_free(text);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(read_text(&b, ""), OK);
    assert_int_equal(read_text(&b, "rank: {threads: 8}\n"), OK);
    assert_true(b.rank.threads == 8);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_text(&b, wrong[i]), ERR_CONFIG);
    assert_int_equal(rates_read(&b, "/nowhere/rates.yaml"), ERR_MISSING);
}

/* What is assumed without a file is a file that can be read.  Runs in the repository's root. */
static void presets_are_a_file(void **state)
{
    (void)state;
    struct rates a, b;
    assert_int_equal(rates_read(&a, NULL), OK);
    assert_int_equal(rates_read(&b, "config/rates/epyc-2core.yaml"), OK);
    assert_memory_equal(&a, &b, sizeof a);
}

static int balanced(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_the_models),
        cmocka_unit_test(pairs_are_the_models),
        cmocka_unit_test(flops_count_the_heads),
        cmocka_unit_test(a_past_grows_from_rank_to_rank),
        cmocka_unit_test(rates_act),
        cmocka_unit_test(carries_have_the_published_size),
        cmocka_unit_test(memory_is_what_is_allocated),
        cmocka_unit_test(splitting_saves_memory),
        cmocka_unit_test(impossible_work_is_refused),
        cmocka_unit_test(rates_files_are_strict),
        cmocka_unit_test(presets_are_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, balanced);
}
