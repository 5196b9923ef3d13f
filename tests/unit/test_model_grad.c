/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of whole models are derivatives, in double. */
#ifdef TTT_F64
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/kernels/gemm.h"
#include "src/model/pass.h"
#include "tests/lib/tiny_model.h"

/* Move a parameter by step times a random direction. */
static void move(struct model *m, const struct param *q, double step)
{
    const uint64_t key = rng_key(9, q->name);
    for (int64_t k = 0; k < q->n; k++)
        m->w[q->offset + k] += step * rng_normal(key, (uint64_t)k);
}

/* <grad, v> against the slope of loss(+ s v) at s = 0 for every parameter tensor, from four
 * points: good to about h^4 + 1e-16/h. */
static void check_gradients(const struct dims *d, const struct pass_opts *o)
{
    enum { B = 2 };
    const double h = 1e-5;
    int32_t windows[B * 64];
    struct model *m = rough_model(d, 3);
    struct pass *p = pass_new(m, o);
    struct pass_sums sums = { 0 };
    struct grad g;
    real *mean = mem_new(m->params.total, sizeof(real), "test");

    random_tokens(windows, B * (o->context + 1), d->V, 5);
    grad_init(&g, &m->params, REDUCE_FAST);
    grad_begin(&g, (int64_t)B * pass_units(o));
    pass_run(p, &g, &sums, windows, B);
    grad_read(&g, mean, 0, m->params.total);
    for (int i = 0; i < m->params.count; i++) {
        const struct param *q = &m->params.p[i];
        const uint64_t key = rng_key(9, q->name);
        double along = 0, norm = 0, at[4];
        for (int64_t k = 0; k < q->n; k++) {
            along += mean[q->offset + k] * rng_normal(key, (uint64_t)k);
            norm += mean[q->offset + k] * mean[q->offset + k];
        }
        move(m, q, -3 * h);
        for (int j = 0; j < 4; j++) {  /* at -2h, -h, h, 2h */
            move(m, q, j == 2 ? 2 * h : h);
            at[j] = loss_of(p, windows, B);
        }
        move(m, q, -2 * h);
        const double slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h);
        if (!(fabs(slope - along) < 1e-7 * (1 + sqrt(norm * (double)q->n))) || norm == 0)
            fail_msg("%s: derivative %.12g, gradient %.12g", q->name, slope, along);
    }
    grad_done(&g);
    mem_free(mean);
    pass_free(p);
    model_free(m);
}

static void check_layer(const char *layer)
{
    struct dims m = tiny(1), t = tiny(0), wide = tiny(1), one = tiny(1), bare = tiny(1);
    struct pass_opts whole = opts(16, 16, 2, REMAT_NONE), cut = opts(24, 8, 2, REMAT_BLOCK),
                     ragged = opts(22, 8, 2, REMAT_NONE), shorter = opts(3, 8, 2, REMAT_NONE);
    wide.C = 36;       /* head width 18: more than a vector and a remainder */
    wide.tied = 0;
    wide.gate = 0;
    one.K = 1;
    bare.E = 0;        /* no feed-forward */
    struct dims *const all[] = { &m, &t, &wide, &one, &bare };
    for (int i = 0; i < 5; i++) strcpy(all[i]->layer, layer);
    check_gradients(&m, &whole);
    check_gradients(&m, &cut);
    check_gradients(&m, &ragged);
    check_gradients(&m, &shorter);
    check_gradients(&t, &whole);
    check_gradients(&t, &ragged);
    check_gradients(&wide, &cut);
    check_gradients(&one, &cut);
    check_gradients(&bare, &cut);
}

static void check_attention(void)
{
    struct dims m = attention(12, 2, 0), grouped = attention(24, 4, 2), mixed = attention(12, 2, 1);
    struct dims wide = headed(14, 4, 2, 10), narrow = headed(15, 2, 1, 4);
    struct pass_opts whole = opts(16, 16, 2, REMAT_NONE), cut = opts(24, 8, 2, REMAT_BLOCK),
                     ragged = opts(22, 8, 2, REMAT_NONE), odd = opts(17, 5, 2, REMAT_BLOCK),
                     single = opts(9, 4, 2, REMAT_NONE);
    mixed.pre_conv = 1;
    grouped.tied = 0;
    check_gradients(&m, &whole);
    check_gradients(&m, &ragged);
    check_gradients(&m, &single);   /* the last unit is one token */
    check_gradients(&grouped, &cut);
    check_gradients(&grouped, &odd);
    check_gradients(&wide, &whole);
    check_gradients(&wide, &odd);
    check_gradients(&narrow, &cut);
    check_gradients(&mixed, &ragged);
    check_gradients(&mixed, &cut);
}

/* Blocks that differ: each gradient crosses layers of another kind. */
static void gradients_of_mixtures(void **state)
{
    static const char *const lists[] = { "ttt_linear, ttt_linear, ttt_linear, attention",
                                         "mamba, attention", "ttt_mlp, mamba, ttt_linear" };
    const struct pass_opts cut = opts(24, 8, 2, REMAT_BLOCK), ragged = opts(22, 8, 2, REMAT_NONE);
    (void)state;

    for (int i = 0; i < 3; i++) {
        struct dims d = tiny(i != 1);
        strcpy(d.layer, lists[i]);
        d.L = 4;
        if (i == 1) d.K = 1, d.Hkv = 1;
        if (i > 0) d.state = 3, d.expand = 2, d.dt_rank = 2;
        check_gradients(&d, &cut);
        check_gradients(&d, &ragged);
    }
}

static void gradients_are_derivatives(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) check_layer(layer_names[i]);
    check_attention();
}

/* Without each part of the TTT layer, and without all of them. */
static void gradients_of_ablations(void **state)
{
    (void)state;
    const struct pass_opts cut = opts(24, 8, 2, REMAT_BLOCK), ragged = opts(22, 8, 2, REMAT_NONE),
                           batch = opts(24, 24, 2, REMAT_NONE);
    for (int i = 0; i <= 2 * WITHOUT_MEAN; i = i ? 2 * i : 1) {
        struct dims d = tiny(i % 3 == 0), mlp = tiny(0);
        d.without = i < 2 * WITHOUT_MEAN ? i : EVERYTHING;
        mlp.without = d.without & ~WITHOUT_INIT;
        mlp.inner_lr = 0.1;  /* with 1 the loss bends too much for differences */
        strcpy(mlp.layer, "ttt_mlp");
        check_gradients(&d, &cut);
        check_gradients(&d, &ragged);
        check_gradients(&mlp, &ragged);
        d.K = 24;  /* one mini-batch: batch gradient descent */
        check_gradients(&d, &batch);
    }
}

/* Layers that the program does not have (tiny_pair()). */
static void gradients_of_pairs(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct dims d = tiny_pair(i);
        const struct pass_opts cut = opts(24, 8, 2, REMAT_BLOCK),
                               ragged = opts(22, 8, 2, REMAT_NONE),
                               batch = opts(24, 24, 2, REMAT_NONE);
        d.inner_lr = 0.1;
        d.without = i ? WITHOUT_TOKEN_IDX : 0;  /* it may make a step of length 0 */
        check_gradients(&d, &cut);
        check_gradients(&d, &ragged);
        d.K = i ? 12 : 24;  /* before the first step no value is known */
        check_gradients(&d, &batch);
    }
}

static int nothing_is_left(void **state)
{
    (void)state;
    return mem_live_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_derivatives),
        cmocka_unit_test(gradients_of_mixtures),
        cmocka_unit_test(gradients_of_ablations),
        cmocka_unit_test(gradients_of_pairs),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}

#else

int main(void) { return 0; }

#endif
