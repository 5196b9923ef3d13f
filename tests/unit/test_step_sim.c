/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator against closed forms: one rank, the wavefront, one-forward-one-backward, a message,
 * sums after the backward pass, volumes; and against what must hold on every grid. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/rng.h"
#include "src/plan/step_sim.h"

enum { MAX_BUCKETS = 40, MAX_CUTS = 300 };

/* Sums of doubles in another order than ours. */
static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want))))
        fail_msg("%.17g, expected %.17g", got, want);
}

/* A work of units without costs, nodes without end, a network without delay, no gradients. */
struct case_ { struct sim_input in; int64_t *cut[MAX_BUCKETS], room[MAX_BUCKETS][MAX_CUTS]; };

static void case_init(struct case_ *c, struct grid_shape g, struct step_shape w, int tied)
{
    const struct sim_link fast = { 0, INFINITY };
    memset(c, 0, sizeof *c);
    c->in = (struct sim_input){ .grid = g, .work = w, .tied = tied, .context = w.U * 8,
                                .unit_tokens = 8, .ranks_per_node = 1 << 20, .within = fast,
                                .between = fast, .cut = c->cut, .sum_bytes = 8,
                                .weight_bytes = 4 };
    assert_int_equal(share_check(&g, &w), 0);
    assert_true(w.L + 2 <= MAX_BUCKETS && 2 * grid_ranks(&g) < MAX_CUTS);
    for (int b = 0; b < w.L + 2; b++) c->cut[b] = c->room[b];
}

/* Each bucket gets `elements`, dealt out as evenly as they go. */
static void give_elements(struct case_ *c, int64_t elements)
{
    const struct grid_shape *g = &c->in.grid;
    for (int r = 0; r < grid_ranks(g); r++) {
        struct share a;
        int place;
        share_of(&a, g, &c->in.work, r);
        for (int b = 0; b < c->in.work.L + 2; b++) {
            const int n = bucket_holders(g, c->in.work.L, c->in.tied, b, &a, &place);
            for (int i = 0; n && i <= n; i++) c->cut[b][i] = part_begin(elements, n, i);
        }
    }
}

static double step_of(struct case_ *c, double *bubble)
{
    struct sim_result r;
    step_sim(&r, &c->in, NULL);
    const double s = r.step_s;
    if (bubble) *bubble = r.bubble;
    sim_result_done(&r);
    return s;
}

static void one_rank_is_a_sum(void **state)
{
    (void)state;
    struct case_ c;
    const struct step_shape w = { .L = 5, .U = 3, .sequences = 7, .micro_batch = 2 };
    case_init(&c, (struct grid_shape){ 1, 1, 1 }, w, 1);
    give_elements(&c, 1000);
    c.in.context = 20;  /* units of 8, 8 and 4 tokens */
    const int each_unit[] = { OP_EMBED, OP_HEAD, OP_EMBED_BACKWARD };
    const int each_layer[] = { OP_FORWARD, OP_BACKWARD };
    double want = 0;
    for (int k = 0; k < OP_KINDS; k++) c.in.all.seconds[k] = (struct sim_cost){ .unit = 0.25 * k, .token = 0.5 + k };
    for (int i = 0; i < 3; i++)
        want += 3 * c.in.all.seconds[each_unit[i]].unit + 20 * c.in.all.seconds[each_unit[i]].token;
    for (int i = 0; i < 2; i++)
        want += 5 * (3 * c.in.all.seconds[each_layer[i]].unit + 20 * c.in.all.seconds[each_layer[i]].token);
    want += c.in.all.seconds[OP_START].unit + 5 * c.in.all.seconds[OP_START_BACKWARD].unit;
    want *= 7;
    want += 7 * c.in.all.seconds[OP_BEGIN].unit;  /* micro-batches of 2, 2, 2 and 1 */
    c.in.clear_s = 0.125;
    c.in.norm_s = 0.25;
    c.in.update_s = 0.5;
    want += 7 * 1000 * 0.875;

    double bubble;
    assert_near(step_of(&c, &bubble), want);
    assert_near(bubble, 0);
}

/* M L / (M L + S - 1): rank s runs s layers later, in forward and, whatever it costs, backward. */
static void wavefront_has_its_efficiency(void **state)
{
    (void)state;
    for (int L = 1; L <= 12; L += 3)
        for (int S = 1; S <= 8; S++)
            for (int M = 1; M <= 9; M += 4) {
                struct case_ c;
                double bubble;
                const struct step_shape w = { .L = L, .U = 2 * S, .sequences = M,
                                              .micro_batch = 1 };
                case_init(&c, (struct grid_shape){ 1, 1, S }, w, 1);
                c.in.all.seconds[OP_FORWARD] = (struct sim_cost){ .unit = 1, .token = 0.25 };
                for (int both = 0; both < 2; both++) {
                    c.in.all.seconds[OP_BACKWARD] = (struct sim_cost){ .unit = 2.5 * both, .token = 0.625 * both };
                    step_of(&c, &bubble);
                    assert_near(1 - bubble, (double)M * L / (M * L + S - 1));
                }
            }
}

/* (P - 1) / (M + P - 1), whatever forward and backward cost. */
static void pipeline_has_its_bubble(void **state)
{
    (void)state;
    for (int P = 1; P <= 6; P++)
        for (int M = P; M <= 4 * P; M += 3) {
            struct case_ c;
            double bubble;
            const struct step_shape w = { .L = 2 * P, .U = 1, .sequences = 3 * M,
                                          .micro_batch = 3 };
            case_init(&c, (struct grid_shape){ 1, P, 1 }, w, 0);
            c.in.all.seconds[OP_FORWARD].token = 1;
            c.in.all.seconds[OP_BACKWARD].token = 2.5;
            step_of(&c, &bubble);
            assert_near(bubble, (P - 1.0) / (M + P - 1));
        }
}

/* Two ranks, one layer, one sequence: forward, its carry, forward; the gradient comes back. */
static void a_message_takes_latency_and_bytes(void **state)
{
    (void)state;
    struct case_ c;
    const struct step_shape w = { .L = 1, .U = 2, .sequences = 1, .micro_batch = 1 };
    case_init(&c, (struct grid_shape){ 1, 1, 2 }, w, 1);
    c.in.all.seconds[OP_FORWARD].unit = 10;
    c.in.all.seconds[OP_BACKWARD].unit = 20;
    c.in.all.bytes[OP_SEND_CARRY].unit = 600;
    c.in.all.bytes[OP_SEND_DCARRY].unit = 300;
    c.in.within = (struct sim_link){ 2, 100 };
    c.in.between = (struct sim_link){ 7, 50 };
    /* at the end rings of nothing: two sums, three times weights, and one all-reduce */
    assert_near(step_of(&c, NULL), 10 + (2 + 6) + 10 + 20 + (2 + 3) + 20 + 7 * 2);
    c.in.ranks_per_node = 1;
    assert_near(step_of(&c, NULL), 10 + (7 + 12) + 10 + 20 + (7 + 6) + 20 + 7 * 7);

    /* A receiver that comes late finds its message waiting. */
    c.in.work.sequences = 2;
    c.in.all.seconds[OP_BACKWARD].unit = 0;
    c.in.between = (struct sim_link){ 1, INFINITY };
    /* forward of both at 0 and 10 on rank 0, at 11 and 21 on rank 1; back at 32 */
    assert_near(step_of(&c, NULL), 31 + 1 + 7 * 1);
}

/* Messages of one rank leave one after another. */
static void messages_share_their_rank(void **state)
{
    (void)state;
    struct case_ c;
    const struct step_shape w = { .L = 2, .U = 4, .sequences = 1, .micro_batch = 1 };
    case_init(&c, (struct grid_shape){ 1, 2, 1 }, w, 0);
    c.in.all.seconds[OP_FORWARD].unit = 1;
    c.in.all.bytes[OP_SEND_X].token = 5;            /* 40 bytes a unit, 10 seconds */
    c.in.within = (struct sim_link){ 0, 4 };
    /* the first leaves at 1, the fourth has come at 41 */
    assert_near(step_of(&c, NULL), 41 + 1);
}

/* Two replicas, two layers: sums start after each layer's backward and follow each other. */
static void sums_hide_behind_backward(void **state)
{
    (void)state;
    struct case_ c;
    const struct step_shape w = { .L = 2, .U = 1, .sequences = 2, .micro_batch = 1 };
    case_init(&c, (struct grid_shape){ 2, 1, 1 }, w, 1);
    give_elements(&c, 100);
    c.cut[BUCKET_HEAD(2)][1] = c.cut[BUCKET_HEAD(2)][2] = 0;   /* nothing in it */
    c.cut[BUCKET_EMBED(2)][1] = c.cut[BUCKET_EMBED(2)][2] = 0;
    c.in.all.seconds[OP_FORWARD].unit = 3;
    c.in.all.seconds[OP_BACKWARD].unit = 10;
    c.in.within = (struct sim_link){ 0, 100 };
    /* a sum: half of 100 elements of 8 bytes at 100 bytes/s = 4 s; weights half of that.  The
     * first sum ends at 6 + 10 + 4, hidden; the second at 6 + 20 + 4. */
    assert_near(step_of(&c, NULL), 6 + 20 + 4 + 2 * 2);
    c.in.all.seconds[OP_BACKWARD].unit = 1;         /* now the second waits for the first */
    assert_near(step_of(&c, NULL), 6 + 1 + 4 + 4 + 2 * 2);
    c.in.add_s = 0.01;                          /* each rank adds 50 elements a bucket */
    assert_near(step_of(&c, NULL), 6 + 1 + 4 + 4 + 2 * 2);  /* while others come */
    c.in.add_s = 0;
    c.in.ranks_per_node = 1;                    /* on a slower link, with its latency */
    c.in.between = (struct sim_link){ 1, 50 };
    /* four rings a cargo, two of them empty but for latency; one all-reduce */
    assert_near(step_of(&c, NULL), 6 + 1 + 9 + 9 + 1 + 2 * 1 + 2 * 5 + 2 * 1);
}

/* Of a whole sequence, over all ranks: (S - 1) L carries each way, one x of every token and one
 * dx at every border of stages; every holder but the owner hands on an element. */
static void volumes_are_the_formulas(void **state)
{
    (void)state;
    for (int D = 1; D <= 3; D++)
        for (int P = 1; P <= 3; P++)
            for (int S = 1; S <= 4; S++) {
                struct case_ c;
                struct sim_result r;
                const struct step_shape w = { .L = 4, .U = 5, .sequences = 7, .micro_batch = 2 };
                case_init(&c, (struct grid_shape){ D, P, S }, w, 1);
                give_elements(&c, 997);
                c.in.context = 37;
                c.in.all.bytes[OP_SEND_CARRY].unit = c.in.all.bytes[OP_SEND_DCARRY].unit = 11;
                c.in.all.bytes[OP_SEND_X].token = c.in.all.bytes[OP_SEND_DX].token = 3;
                c.in.ranks_per_node = 3;
                step_sim(&r, &c.in, NULL);
                int64_t sum[SIM_CARGOES];
                for (int i = 0; i < SIM_CARGOES; i++)
                    sum[i] = sim_bytes(&r, i, 0) + sim_bytes(&r, i, 1);
                const int64_t rings = 4 * (D * S - 1) + (D * S - 1) +
                                      ((P > 1 ? 2 : 1) * D * S - 1);
                assert_int_equal(sum[SIM_CARRIES], 2 * 7 * (S - 1) * 4 * 11);
                assert_int_equal(sum[SIM_ACTIVATIONS], 2 * 7 * (P - 1) * 37 * 3);
                assert_int_equal(sum[SIM_GRADIENTS], rings * 997 * 8);
                assert_int_equal(sum[SIM_WEIGHTS], rings * 997 * 4);
                if (D * P * S <= 3)
                    for (int i = 0; i < SIM_CARGOES; i++) assert_int_equal(sim_bytes(&r, i, 1), 0);
                sim_result_done(&r);
            }
}

/* Heads mode: layers of equal chunks one after the other, each with its exchange. */
static void heads_work_together(void **state)
{
    (void)state;
    for (int S = 1; S <= 4; S++) {
        struct case_ c;
        struct sim_result r;
        const struct step_shape w = { .L = 3, .U = 2 * S, .sequences = 4, .micro_batch = 2,
                                      .mode = SEQ_HEADS };
        case_init(&c, (struct grid_shape){ 1, 1, S }, w, 1);
        c.in.all.seconds[OP_FORWARD] = (struct sim_cost){ .unit = 1, .token = 0.25 };
        c.in.all.seconds[OP_BACKWARD] = (struct sim_cost){ .unit = 2, .token = 0.5 };
        c.in.all.exchange = (struct exchange){ .heads = 12, .in_bytes = 10, .out_bytes = 3,
                                           .halo_bytes = 7 };
        step_sim(&r, &c.in, NULL);
        assert_near(r.step_s, 4 * 3 * 2 * (3 + 6));  /* two units of 8 tokens each */
        assert_near(r.bubble, 0);
        const int64_t tokens = 16 * (S - 1);          /* N (S - 1) / S */
        assert_int_equal(sim_bytes(&r, SIM_HEADS, 0), 4 * 3 * 2 * tokens * 12 * 13);
        assert_int_equal(sim_bytes(&r, SIM_CARRIES, 0), 4 * 3 * 2 * (S - 1) * 7);
        sim_result_done(&r);

        c.in.within = (struct sim_link){ 0, 100 };
        c.in.all.exchange.halo_bytes = 0;
        const double exchange = 16.0 * (S - 1) / S * 12 * 13 / 100;
        assert_near(step_of(&c, NULL), 4 * 3 * (2 * 9 + 2 * exchange));
        c.in.all.exchange.again = 1;  /* backward does all of forward's first */
        assert_near(step_of(&c, NULL), 4 * 3 * (2 * 9 + 3 * exchange));
    }
}

static int draw(uint64_t key, int i, int k, int n)
{
    return 1 + (int)(rng_u64(key, (uint64_t)(16 * i + k)) % (uint64_t)n);
}

static void random_case(struct case_ *c, int i)
{
    const uint64_t key = rng_key(7, "simulations");
    struct step_shape w = { .L = draw(key, i, 0, 9), .U = draw(key, i, 1, 8),
                            .sequences = draw(key, i, 2, 12), .micro_batch = draw(key, i, 3, 4),
                            .mode = i % 3 ? SEQ_WAVEFRONT : SEQ_HEADS };
    struct grid_shape g = { .D = draw(key, i, 4, 4), .P = draw(key, i, 5, w.L < 5 ? w.L : 5),
                            .S = draw(key, i, 6, w.U < 5 ? w.U : 5) };
    case_init(c, g, w, draw(key, i, 7, 2) - 1);
    give_elements(c, 50);
    for (int k = 0; k < OP_KINDS; k++) {
        c->in.all.seconds[k].unit = 0.1 * draw(key, i, 8, 9);
        c->in.all.seconds[k].token = 0.01 * draw(key, i, 9, 9);
        c->in.all.bytes[k].unit = 10 * draw(key, i, 10, 9);
        c->in.all.bytes[k].token = draw(key, i, 11, 9);
    }
    /* Nobody's time but that of units of a sequence, so that work is the same on every grid. */
    c->in.all.seconds[OP_START].unit = c->in.all.seconds[OP_START_BACKWARD].unit = 0;
    c->in.all.seconds[OP_BEGIN].unit = 0;
    c->in.all.exchange = (struct exchange){ draw(key, i, 8, 5), 0.3, 0.1, 2, 0 };
    c->in.ranks_per_node = draw(key, i, 12, 5);
    c->in.within = (struct sim_link){ 0.01 * draw(key, i, 13, 9), 1000 };
    c->in.between = (struct sim_link){ 0.05 * draw(key, i, 14, 9), 200 };
}

/* Operations of a rank follow each other; all work together is that of one rank. */
static void time_passes(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct case_ c;
        struct sim_result r;
        struct sim_events events = { 0 };
        double busy = 0, until[300] = { 0 };
        random_case(&c, i);
        step_sim(&r, &c.in, &events);
        for (int64_t k = 0; k < events.count; k++) {
            const struct sim_event *e = &events.e[k];
            assert_true(e->end_s >= e->begin_s && e->end_s <= r.step_s);
            if (e->op.kind == SIM_SUM) continue;
            assert_true(e->begin_s >= until[e->rank]);
            until[e->rank] = e->end_s;
        }
        for (int k = 0; k < r.ranks; k++) {
            busy += r.rank[k].busy_s;
            assert_true(r.rank[k].busy_s <= r.step_s && r.rank[k].end_s <= r.step_s);
        }
        assert_near(r.bubble, 1 - busy / (r.ranks * r.step_s));
        sim_result_done(&r);
        mem_free(events.e);
        c.in.grid = (struct grid_shape){ 1, 1, 1 };
        assert_near(step_of(&c, NULL), busy);
    }
}

static void slower_links_are_never_faster(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct case_ c;
        random_case(&c, i);
        const double before = step_of(&c, NULL);
        c.in.within.latency_s *= 2;
        const double latency = step_of(&c, NULL);
        c.in.between.bytes_per_s /= 3;
        assert_true(before <= latency && latency <= step_of(&c, NULL));
    }
}

static int balanced(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rank_is_a_sum),
        cmocka_unit_test(wavefront_has_its_efficiency),
        cmocka_unit_test(pipeline_has_its_bubble),
        cmocka_unit_test(a_message_takes_latency_and_bytes),
        cmocka_unit_test(messages_share_their_rank),
        cmocka_unit_test(sums_hide_behind_backward),
        cmocka_unit_test(volumes_are_the_formulas),
        cmocka_unit_test(heads_work_together),
        cmocka_unit_test(time_passes),
        cmocka_unit_test(slower_links_are_never_faster),
    };
    return cmocka_run_group_tests(tests, NULL, balanced);
}
