/* SPDX-License-Identifier: Apache-2.0 */
/* test_moments.c -- moments in bf16: rounding by chance has the right mean, depends on nothing but
 * seed, step and element, and an optimizer with it follows one with whole moments. */
#include "tests/unit/numeric.h"

#include "src/optim/adamw.h"
#include "src/param/grad.h"

enum { N = 20000 };

static void many_counters_are_each_counter(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    const uint64_t first = 0xffffffff - 70, key = rng_key(5, "here");
    uint32_t all[4 * COUNT], one[4];
    rng_fill(all, COUNT, key, first);
    for (int i = 0; i < COUNT; i++) {
        rng_bits(one, key, first + (uint64_t)i);
        assert_same(all + 4 * i, one, 4);
    }
    rng_fill(all, COUNT, key + 1, first);
    assert_other(all + 4 * (COUNT - 1), one, 4);
}

/* Either neighbour, in such shares that the mean is x: within 5 standard deviations. */
static void chance_is_fair(void **state)
{
    (void)state;
    enum { TRIES = 1 << 16 };
    for (int i = 0; i < 20; i++) {
        const float x = (float)rng_normal(3, (uint64_t)i);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        const double low = (double)bf16_value((bf16)(bits >> 16));
        const double high = (double)bf16_value((bf16)((bits >> 16) + 1));
        double sum = 0;
        for (uint32_t r = 0; r < TRIES; r++) {
            const double y = (double)bf16_value((bf16)bf16_stochastic((real)x, r));
            assert_true(y == low || y == high);
            sum += y;
        }
        assert_true(fabs(sum / TRIES - (double)x) <= fabs(high - low) / TRIES);
    }
}

struct state { struct param_table t; struct grad g; real *w; bf16 *m, *v; real *fm, *fv; };

static const struct optim_opts opts = {
    .state = MOMENTS_BF16, .lr = 0.01, .min_lr = 0.01, .decay_steps = 1000, .beta1 = 0.9,
    .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip_norm = 1, .inner_start = 1,
};

static void start(struct state *s)
{
    *s = (struct state){ .t = { 0 } };
    param_add(&s->t, "", "w", INIT_ZERO, 0, PARAM_SHAPE(N));
    grad_init(&s->g, &s->t, REDUCE_EXACT);
    s->w = noise(s->t.total, 1);
    s->m = hold(s->t.total, sizeof *s->m);
    s->v = hold(s->t.total, sizeof *s->v);
    s->fm = zeros(s->t.total);
    s->fv = zeros(s->t.total);
}

static void finish(struct state *s)
{
    grad_done(&s->g);
    param_done(&s->t);
}

static void give_gradient(struct state *s, uint64_t seed)
{
    real *g = hold(N, sizeof *g);
    for (int i = 0; i < N; i++) g[i] = (real)(0.1 + 0.05 * rng_normal(seed, (uint64_t)i));
    grad_begin(&s->g, 1);
    grad_add(&s->g, 0, g, N);
    mem_free(held[--n_held]);
}

/* Update t of elements [begin, end), as a process that holds no others makes it. */
static void update(struct state *s, int64_t t, double factor, int64_t begin, int64_t end,
                   uint64_t seed)
{
    adamw_update_bf16(&(struct adamw){ .opts = &opts, .grad = &s->g, .w = s->w, .begin = begin,
                                       .end = end, .t = t, .factor = factor },
                      s->m + begin, s->v + begin, seed);
}

static void follows_whole_moments(void **state)
{
    (void)state;
    struct state a, b;
    double off_m = 0, off_v = 0;
    start(&a);
    start(&b);
    for (int t = 0; t < 60; t++) {
        give_gradient(&a, 50 + (uint64_t)t);
        give_gradient(&b, 50 + (uint64_t)t);
        update(&a, t, 1, 0, a.t.total, 7);
        adamw_update(&(struct adamw){ .opts = &opts, .grad = &b.g, .w = b.w, .end = b.t.total,
                                      .t = t, .factor = 1 }, b.fm, b.fv);
    }
    for (int i = 0; i < N; i++) {
        const double m = (double)bf16_value(a.m[i]), v = (double)bf16_value(a.v[i]);
        assert_true(fabs(m / (double)b.fm[i] - 1) < 0.1);
        assert_true(fabs(v / (double)b.fv[i] - 1) < 0.1);
        assert_true(fabs((double)(a.w[i] - b.w[i])) < 0.02);  /* 60 steps of 0.01 */
        off_m += (m / (double)b.fm[i] - 1) / N;
        off_v += (v / (double)b.fv[i] - 1) / N;
    }
    /* No drift: errors of 2^-8 each are independent and average out. */
    assert_true(fabs(off_m) < 1e-3);
    assert_true(fabs(off_v) < 1e-3);
    finish(&a);
    finish(&b);
    release();
}

static void pieces_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const int64_t cut[] = { 0, 16, 4096, 4112, 19984, -1 };
    struct state s[4];
    for (int k = 0; k < 4; k++) {
        start(&s[k]);
        omp_set_num_threads(k < 3 ? k + 1 : 2);
        for (int t = 0; t < 3; t++) {
            give_gradient(&s[k], 50 + (uint64_t)t);
            for (int i = 0; i < (k == 3 ? 5 : 1); i++) {
                const int64_t end = k < 3 || cut[i + 1] < 0 ? s[k].t.total : cut[i + 1];
                update(&s[k], t, 0.5, cut[i], end, 7);
            }
        }
        assert_same(s[k].w, s[0].w, s[0].t.total);
        assert_same(s[k].m, s[0].m, s[0].t.total);
        assert_same(s[k].v, s[0].v, s[0].t.total);
    }
    for (int k = 1; k < 3; k++)   /* the same gradient, another seed: another rounding */
        update(&s[k], 3, 0.5, 0, s[k].t.total, 7 + (uint64_t)k);
    assert_other(s[1].m, s[2].m, N);
    for (int k = 0; k < 4; k++) finish(&s[k]);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_counters_are_each_counter), cmocka_unit_test(chance_is_fair),
        cmocka_unit_test(follows_whole_moments), cmocka_unit_test(pieces_and_threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
