/* SPDX-License-Identifier: Apache-2.0 */
/* test_adamw.c -- the recipe of the TTT paper against a plain rewriting of it. */
#include "tests/unit/numeric.h"

#include "src/optim/adamw.h"
#include "src/optim/sched.h"
#include "src/param/grad.h"

static const struct optim_opts opts = { .lr = 3e-3, .min_lr = 1e-5, .warmup_steps = 2,
                                        .decay_steps = 6, .beta1 = 0.9, .beta2 = 0.95,
                                        .eps = 1e-8, .weight_decay = 0.1, .clip_norm = 1 };

static void rate(void **state)
{
    (void)state;
    static const double want[] = { 0, 1.5e-3, 3e-3, 1e-5 + 2.99e-3 * 0.85355339059327373,
                                   1e-5 + 2.99e-3 * 0.5, 1e-5 + 2.99e-3 * 0.14644660940672624,
                                   1e-5, 1e-5, 1e-5 };
    for (int t = 0; t < 9; t++) assert_true(fabs(sched_lr(&opts, t) - want[t]) < 1e-15);
    assert_true(sched_lr(&opts, 0) == 0 && sched_lr(&opts, 1000000) == opts.min_lr);

    struct optim_opts o = opts;                            /* no warm-up: the peak at once */
    o.warmup_steps = 0;
    assert_true(sched_lr(&o, 0) == o.lr);
    o.decay_steps = 0;                                     /* constant */
    assert_true(sched_lr(&o, 0) == o.min_lr);
    o.warmup_steps = o.decay_steps = 5;                    /* nothing between the two */
    assert_true(sched_lr(&o, 4) == o.lr * 4 / 5 && sched_lr(&o, 5) == o.min_lr);
}

static void clipping(void **state)
{
    (void)state;
    struct optim_opts o = opts;
    assert_true(clip_factor(&o, 0) == 1 && clip_factor(&o, 0.999) == 1);
    assert_true(clip_factor(&o, 1) == 1 && clip_factor(&o, 4) == 0.25);
    o.clip_norm = 0;
    assert_true(clip_factor(&o, 1e9) == 1);
}

enum { N = 20011 };  /* several blocks and an odd rest */

struct state { struct param_table t; struct grad g; real *w, *m, *v; };

static void start(struct state *s, enum reduction mode)
{
    s->t = (struct param_table){ 0 };
    param_add(&s->t, "", "w", INIT_NORMAL, 1, PARAM_SHAPE(N));
    grad_init(&s->g, &s->t, mode);
    s->w = zeros(s->t.total);
    s->m = zeros(s->t.total);
    s->v = zeros(s->t.total);
    param_init(s->w, &s->t, 1);
}

/* The sum of one unit: noise, some of it tiny, some of it zero. */
static void give_gradient(struct state *s, uint64_t seed)
{
    real *g = noise(N, seed);
    for (int i = 0; i < N; i += 3) g[i] *= (real)1e-6;
    for (int i = 0; i < N; i += 7) g[i] = 0;
    grad_begin(&s->g, 1);
    grad_add(&s->g, 0, g, N);
}

static void finish(struct state *s)
{
    grad_done(&s->g);
    param_done(&s->t);
}

/* Update t of elements [begin, end), as a process that holds no others makes it. */
static void update_part(struct state *s, int64_t t, double factor, int64_t begin, int64_t end)
{
    adamw_update(&(struct adamw){ .opts = &opts, .grad = &s->g, .w = s->w, .begin = begin,
                                  .end = end, .t = t, .factor = factor },
                 s->m + begin, s->v + begin);
}

static void update(struct state *s, int64_t t, double factor)
{
    update_part(s, t, factor, 0, s->t.total);
}

/* optax's order of things: clip, moments, correct, decay, scale, add. */
static void plain_update(double *w, double *m, double *v, const real *g, double factor,
                         double lr, int count)
{
    for (int i = 0; i < N; i++) {
        const double g_i = (double)g[i] * factor;
        m[i] = 0.9 * m[i] + 0.1 * g_i;
        v[i] = 0.95 * v[i] + 0.05 * g_i * g_i;
        const double mhat = m[i] / (1 - pow(0.9, count)), vhat = v[i] / (1 - pow(0.95, count));
        w[i] += -lr * (mhat / (sqrt(vhat) + 1e-8) + 0.1 * w[i]);
    }
}

static void six_updates(void **state)
{
    (void)state;
    for (enum reduction mode = REDUCE_EXACT; mode <= REDUCE_FAST; mode++) {
        struct state s;
        start(&s, mode);
        real *g = zeros(s.t.total);
        double *w = widen(s.w, N), *m = widen(s.m, N), *v = widen(s.v, N);
        for (int t = 0; t < 6; t++) {
            give_gradient(&s, 100 + (uint64_t)t);
            grad_read(&s.g, g, 0, N);
            const double norm = sqrt(grad_sumsq(&s.g)), factor = clip_factor(&opts, norm);
            assert_true(norm > 100 && factor < 0.01);
            update(&s, t, factor);
            plain_update(w, m, v, g, factor, sched_lr(&opts, t), t + 1);
        }
        assert_close(s.w, w, N, ULPS(4));
        assert_close(s.m, m, N, ULPS(8) * 0.01);           /* moments are below 0.01 */
        assert_close(s.v, v, N, ULPS(8) * 1e-4);
        finish(&s);
        release();
    }
}

static void first_update_moves_moments_only(void **state)
{
    (void)state;
    struct state s;
    start(&s, REDUCE_EXACT);
    real *before = copy(s.w, N);
    give_gradient(&s, 1);
    update(&s, 0, 1);
    assert_same(s.w, before, N);
    assert_true(dot(s.m, s.m, N) > 0 && dot(s.v, s.v, N) > 0);
    update(&s, 1, 1);
    assert_other(s.w, before, N);
    finish(&s);
    release();
}

/* Every share of the elements and every number of threads writes the same bits, and
 * padding stays zero. */
static void pieces_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const int64_t cut[] = { 0, 1, 17, 4096, 4100, 19999, -1 };
    struct state s[4];
    for (int k = 0; k < 4; k++) {
        start(&s[k], REDUCE_EXACT);
        omp_set_num_threads(k < 3 ? k + 1 : 2);
        for (int t = 0; t < 3; t++) {
            give_gradient(&s[k], 50 + (uint64_t)t);
            for (int i = 0; i < (k == 3 ? 6 : 1); i++) {
                const int64_t end = k < 3 || cut[i + 1] < 0 ? s[k].t.total : cut[i + 1];
                update_part(&s[k], t, 0.5, cut[i], end);
            }
        }
        assert_same(s[k].w, s[0].w, s[0].t.total);
        assert_same(s[k].m, s[0].m, s[0].t.total);
        assert_same(s[k].v, s[0].v, s[0].t.total);
        for (int64_t i = N; i < s[k].t.total; i++)
            assert_true(s[k].w[i] == 0 && s[k].m[i] == 0 && s[k].v[i] == 0);
    }
    update_part(&s[1], 3, 0.5, 19999, 20000);
    assert_other(s[1].w, s[0].w, N);                       /* the comparison can fail */
    for (int k = 0; k < 4; k++) finish(&s[k]);
    release();
}

/* Three parameters, the middle one without decay: it moves as with a decay of zero, the others as
 * before; blocks of an update reach over all of them. */
static void decay_spares_what_says_so(void **state)
{
    (void)state;
    struct optim_opts none = opts;
    none.weight_decay = 0;
    real *w[3];
    int64_t from = 0, to = 0, total = 0;

    for (int k = 0; k < 3; k++) {     /* all decay, none does, all but one */
        struct param_table t = { 0 };
        struct grad g;
        param_add(&t, "", "a", INIT_NORMAL, 1, PARAM_SHAPE(100));
        const int one = param_add(&t, "", "b", INIT_NORMAL, 1, PARAM_SHAPE(4500));
        param_add(&t, "", "c", INIT_NORMAL, 1, PARAM_SHAPE(77));
        t.p[one].no_decay = k == 2;
        from = t.p[one].offset, to = from + 4500, total = t.total;
        real *m = zeros(total), *v = zeros(total);
        w[k] = zeros(total);
        param_init(w[k], &t, 3);
        grad_init(&g, &t, REDUCE_EXACT);
        grad_begin(&g, 1);
        grad_add(&g, 0, w[k], total);
        adamw_update(&(struct adamw){ .opts = k == 1 ? &none : &opts, .grad = &g, .w = w[k],
                                      .end = total, .t = 7, .factor = 1 }, m, v);
        grad_done(&g);
        param_done(&t);
    }
    assert_same(w[2], w[0], from);
    assert_same(w[2] + from, w[1] + from, to - from);
    assert_same(w[2] + to, w[0] + to, total - to);
    assert_other(w[2] + from, w[0] + from, to - from);
    release();
}

/* (0.01 + min(1, t/warm) 0.09) / 0.1 in bfloat16, the reference's numbers for warm = 480. */
static void inner_warm_up(void **state)
{
    (void)state;
    struct optim_opts o = { .warmup_steps = 480, .inner_start = 0.1 };
    static const struct { int64_t t; double want; } at[] = {
        { 0, 0.10009765625 }, { 1, 0.10205078125 }, { 240, 0.55078125 }, { 479, 1.0 }, { 480, 1 },
        { 5000, 1 },
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        assert_true(sched_inner(&o, at[i].t) == at[i].want);
    o.inner_start = 1;
    assert_true(sched_inner(&o, 0) == 1 && sched_inner(&o, 100) == 1);
    o.warmup_steps = 0;
    assert_true(sched_inner(&o, 0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate),
        cmocka_unit_test(inner_warm_up),
        cmocka_unit_test(clipping),
        cmocka_unit_test(six_updates),
        cmocka_unit_test(first_update_moves_moments_only),
        cmocka_unit_test(pieces_and_threads_change_no_bit),
        cmocka_unit_test(decay_spares_what_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
