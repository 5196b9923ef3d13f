/* SPDX-License-Identifier: Apache-2.0 */
/* test_bf16_weights.c -- a model with bf16 products: gradients near those of fp32 and not equal to them,
 * and the same bits however work is cut. */
#include "tests/unit/numeric.h"

#include "src/kernels/gemm.h"
#include "src/model/pass.h"

enum { B = 2, CONTEXT = 49 };  /* units of 24, 24 and one token */

static struct dims dims_of(const char *layer, int mamba)
{
    struct dims d = { .V = 137, .L = 2, .C = 48, .H = 3, .E = 100, .K = 8, .conv_width = 4,
                      .gate = mamba, .share_qk = mamba, .pre_conv = mamba, .tied = mamba,
                      .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.1,
                      .inner_lr = 1 };
    strcpy(d.layer, layer);
    if (!strcmp(layer, "mamba")) {
        d.H = d.K = d.tied = 1;
        d.E = 0;
        d.state = 5, d.expand = 2, d.dt_rank = 3;
    }
    return d;
}

static struct model *model_of(const struct dims *d, int in_bf16)
{
    struct model *m;
    assert_int_equal(model_new(&m, d), 0);
    model_init(m, 3);
    if (in_bf16) model_use_bf16(m, 1);
    model_all_weights_changed(m);
    return m;
}

/* Loss, and the exact sums of gradients, of B windows, `micro` at a time. */
static double gradients(struct grad *g, const struct model *m, int micro, enum remat remat)
{
    const struct pass_opts o = { .context = CONTEXT, .slice_tokens = 24, .micro_batch = micro,
                                 .inner_group = 2, .remat = remat, .mask_token = 1 };
    int32_t windows[B * (CONTEXT + 1)];
    struct pass *p = pass_new(m, &o);
    struct pass_sums sums = { 0 };

    for (int i = 0; i < B * (CONTEXT + 1); i++)
        windows[i] = (int32_t)(rng_u64(7, (uint64_t)i) % (uint64_t)m->dims.V);
    grad_init(g, &m->params, REDUCE_EXACT);
    grad_begin(g, (int64_t)B * pass_units(&o));
    for (int b = 0; b < B; b += micro)
        pass_run(p, g, &sums, windows + b * (CONTEXT + 1), micro);
    assert_int_equal(sums.bad, 0);
    pass_free(p);
    return fixed_value(sums.loss) / B;
}

/* Angles between whole gradients, and between those of each matrix. */
static void near(const char *layer, int mamba)
{
    const struct dims d = dims_of(layer, mamba);
    struct model *m32 = model_of(&d, 0), *m16 = model_of(&d, 1);
    struct grad g32, g16;
    const double l32 = gradients(&g32, m32, B, REMAT_NONE);
    const double l16 = gradients(&g16, m16, B, REMAT_NONE);
    real *a = zeros(m32->params.total), *b = zeros(m32->params.total);

    assert_true(fabs(l16 / l32 - 1) < 3e-3);
    assert_true(l16 != l32);
    grad_read(&g32, a, 0, m32->params.total);
    grad_read(&g16, b, 0, m32->params.total);
    for (int i = 0; i < m32->params.count; i++) {
        const struct param *p = &m32->params.p[i];
        const real *x = a + p->offset, *y = b + p->offset;
        const double xy = dot(x, y, p->n), xx = dot(x, x, p->n), yy = dot(y, y, p->n);
        if (p->ndim != 2) continue;
        if (!(xy >= 0.998 * sqrt(xx * yy)))
            print_error("%s %s: cosine %g\n", layer, p->name, xy / sqrt(xx * yy));
        assert_true(xy >= 0.998 * sqrt(xx * yy));
        assert_true(fabs(yy / xx - 1) < 0.05);
    }
    assert_other(a, b, m32->params.total);
    grad_done(&g32);
    grad_done(&g16);
    model_free(m32);
    model_free(m16);
    release();
}

static void gradients_are_near(void **state)
{
    (void)state;
    near("ttt_linear", 1);
    near("ttt_linear", 0);
    near("ttt_mlp", 1);
    near("mamba", 0);
    near("attention", 0);
}

static void cuts_change_no_bit(void **state)
{
    (void)state;
    const struct dims d = dims_of("ttt_linear", 1);
    struct model *m = model_of(&d, 1);
    struct grad g, h;
    omp_set_num_threads(1);
    const double loss = gradients(&g, m, B, REMAT_NONE);
    for (int i = 0; i < 4; i++) {
        omp_set_num_threads(1 + i % 3);
        assert_true(gradients(&h, m, 1 + i % 2, i / 2 ? REMAT_BLOCK : REMAT_NONE) == loss);
        assert_same(g.fixed, h.fixed, m->params.total);
        grad_done(&h);
    }
    m->w[m->params.p[m->i_head].offset + 5] += 1;      /* the comparison can fail, */
    gradients(&h, m, B, REMAT_NONE);                   /* tied: also by the embedding */
    assert_other(g.fixed, h.fixed, m->params.total);
    grad_done(&h);
    grad_done(&g);
    model_free(m);
}

/* Slices at boundaries of mini-batches, and what comes of them, to the last bit. */
static void slices_are_the_whole(void **state)
{
    (void)state;
    const struct dims d = dims_of("ttt_mlp", 1);
    struct model *m = model_of(&d, 1);
    int32_t tok[CONTEXT];
    real *whole = zeros(CONTEXT * d.C), *cut = zeros(CONTEXT * d.C);
    struct stream *s = stream_new(m, 1, CONTEXT);

    for (int i = 0; i < CONTEXT; i++) tok[i] = (int32_t)(rng_u64(7, (uint64_t)i) % 137);
    stream_read(s, whole, tok, CONTEXT, NULL);
    stream_reset(s);
    static const int slices[] = { 8, 24, 16, 1 };   /* CONTEXT in all */
    for (int i = 0, t = 0; i < 4; t += slices[i++])
        stream_read(s, cut + t * d.C, tok + t, slices[i], NULL);
    assert_int_equal(stream_pos(s), CONTEXT);
    assert_same(cut, whole, CONTEXT * d.C);
    stream_free(s);
    model_free(m);
    release();
}

/* What a model makes of CONTEXT tokens before its head. */
static real *outputs(const struct model *m)
{
    int32_t tok[CONTEXT];
    real *y = zeros(CONTEXT * m->dims.C);
    struct stream *s = stream_new(m, 1, CONTEXT);
    for (int i = 0; i < CONTEXT; i++) tok[i] = (int32_t)(rng_u64(7, (uint64_t)i) % 137);
    stream_read(s, y, tok, CONTEXT, NULL);
    stream_free(s);
    return y;
}

/* Scores of attention and the inner loop round their operands, too: seen alone, without a
 * feed-forward and where no weight has its bf16 form but the head's, which these outputs don't
 * meet. */
static void what_has_no_weights_is_rounded(void **state)
{
    (void)state;
    static const struct { const char *layer; int other; } all[] = {
        { "attention", 1 }, { "ttt_linear", 1 }, { "ttt_mlp", 1 }, { "mamba", 0 },
    };
    for (int i = 0; i < 4; i++) {
        struct dims d = dims_of(all[i].layer, 0);
        d.E = 0;
        struct model *m32 = model_of(&d, 0), *m16 = model_of(&d, 0);
        model_use_bf16(m16, 0);
        const struct param *head = &m16->params.p[m16->i_head];
        model_weights_changed(m16, &(struct span){ head->offset, head->offset + head->n }, 1);
        real *a = outputs(m32), *b = outputs(m16);
        double most = 0;
        for (int k = 0; k < CONTEXT * d.C; k++) most = fmax(most, fabs((double)(a[k] - b[k])));
        assert_true(all[i].other ? most > 1e-5 : most == 0);
        assert_true(most < 0.1);
        model_free(m32);
        model_free(m16);
        release();
    }
}

/* Operands are copies: they follow the weights when told to. */
static void weights_are_told(void **state)
{
    (void)state;
    const struct dims d = dims_of("ttt_linear", 0);
    struct model *m = model_of(&d, 1);
    struct grad g;
    const double before = gradients(&g, m, B, REMAT_NONE);
    grad_done(&g);
    m->w[m->params.p[m->i_head].offset + 5] += 1;
    assert_true(gradients(&g, m, B, REMAT_NONE) == before);
    grad_done(&g);
    model_all_weights_changed(m);
    assert_true(gradients(&g, m, B, REMAT_NONE) != before);
    grad_done(&g);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_near), cmocka_unit_test(cuts_change_no_bit),
        cmocka_unit_test(slices_are_the_whole), cmocka_unit_test(weights_are_told),
        cmocka_unit_test(what_has_no_weights_is_rounded),
    };
    gemm_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
