/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/ttt_params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/layers/ttt_heads.h"
#include "src/layers/ttt_inner.h"

static int has(const struct dims *d, enum without part) { return !(d->without & part); }

static int learned(const struct dims *d, const struct inner_part *p)
{
    if (p->start == INNER_ZERO || !has(d, WITHOUT_INIT)) return 0;
    return p->start == INNER_LEARNED || has(d, WITHOUT_BIAS);
}

/* A part of the fast weights: model's and step's (kernels/inner.h). */
struct fast_weight {
    struct inner_part part;
    int64_t n, offset;     /* reals, and their place in the state of a head           */
    int     param;         /* its initial value, after ttt_places.state; -1: zeros    */
};

/* Part i; returns 0 after the last. */
static int fast_weight(const struct dims *d, int i, struct fast_weight *w)
{
    int params = 0;

    *w = (struct fast_weight){ .n = 0 };
    for (int j = 0; inner_part(ttt_inner(d), j, head_width(d), &w->part); j++) {
        const int own = learned(d, &w->part);
        w->offset += w->n;
        w->n = (int64_t)w->part.rows * w->part.cols;
        w->param = own ? params : -1;
        if (j == i) return 1;
        params += own;
    }
    return 0;
}

struct ttt_places ttt_places(const struct dims *d)
{
    struct ttt_places p = { .k = -1, .g = -1, .conv_q = -1, .conv_k = -1, .lr = -1,
                            .token_idx = -1, .norm = -1 };
    struct fast_weight w;
    int n = 0;

    p.q = n++;
    if (!d->share_qk) p.k = n++;
    p.v = n++;
    p.o = n++;
    if (d->gate) p.g = n++;
    if (d->share_qk) {
        p.conv_q = n, n += 2;
        p.conv_k = n, n += 2;
    }
    if (has(d, WITHOUT_GATE)) p.lr = n, n += 2;
    if (has(d, WITHOUT_TOKEN_IDX)) p.token_idx = n++;
    if (has(d, WITHOUT_NORM)) p.norm = n, n += 2;
    p.state = n;
    for (int i = 0; fast_weight(d, i, &w); i++) n += w.param >= 0;
    p.post = n;
    return p;
}

void ttt_fits(struct fit *f, const struct dims *d)
{
    fit_heads(f, d);
    fit_must(f, KEYS("model.layer"), d->without >= 0 && d->without < 2 * WITHOUT_MEAN,
             "this model lacks parts of the TTT layer that are not known here");
    fit_must(f, KEYS("model.learn_init", "model.layer"),
             has(d, WITHOUT_INIT) || ttt_inner(d)->model->learns_from_zero,
             "expected true: the inner model of %s would stay zero", d->layer);
}

void ttt_params(struct param_table *t, const struct dims *d, const char *prefix)
{
    const int C = d->C, H = d->H, F = head_width(d), W = d->conv_width;
    const int gates = H * ttt_rates(d);  /* those of a head after each other */
    const double std = d->init_std;
    /* nn.Conv1d's default: U(-1/sqrt(fan_in), +), fan_in = taps */
    const double conv = 1 / sqrt(W);
    struct fast_weight w;
    char own[PARAM_NAME];

    snprintf(own, sizeof own, "%sseq_modeling_block.", prefix);
    param_add_product(t, own, "q_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    if (!d->share_qk)
        param_add_product(t, own, "k_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    param_add_product(t, own, "v_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    param_add_product(t, own, "o_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    if (d->gate) param_add_product(t, own, "g_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    if (d->share_qk) {
        param_add(t, own, "conv_q.weight", INIT_UNIFORM, conv, PARAM_SHAPE(C, 1, W));
        param_add(t, own, "conv_q.bias", INIT_UNIFORM, conv, PARAM_SHAPE(C));
        param_add(t, own, "conv_k.weight", INIT_UNIFORM, conv, PARAM_SHAPE(C, 1, W));
        param_add(t, own, "conv_k.bias", INIT_UNIFORM, conv, PARAM_SHAPE(C));
    }
    if (has(d, WITHOUT_GATE)) {
        param_add_product(t, own, "learnable_ttt_lr_weight", INIT_NORMAL, std,
                          PARAM_SHAPE(gates, 1, C));
        param_add(t, own, "learnable_ttt_lr_bias", INIT_ZERO, 0, PARAM_SHAPE(gates, 1));
    }
    if (has(d, WITHOUT_TOKEN_IDX))
        param_add(t, own, "learnable_token_idx", INIT_ZERO, 0, PARAM_SHAPE(d->K));
    if (has(d, WITHOUT_NORM)) {
        param_add(t, own, "ttt_norm_weight", INIT_ONE, 0, PARAM_SHAPE(H, F));
        param_add(t, own, "ttt_norm_bias", INIT_ZERO, 0, PARAM_SHAPE(H, F));
    }
    for (int i = 0; fast_weight(d, i, &w); i++)
        if (w.param >= 0)
            param_add(t, own, w.part.name, w.part.start == INNER_LEARNED ? INIT_NORMAL : INIT_ZERO,
                      std, PARAM_SHAPE(H, w.part.rows, w.part.cols));
    param_add(t, own, "post_norm.weight", INIT_ONE, 0, PARAM_SHAPE(C));
    param_add(t, own, "post_norm.bias", INIT_ZERO, 0, PARAM_SHAPE(C));
}

/* --- carry ---------------------------------------------------------------- */

int64_t ttt_halo_reals(const struct dims *d)
{
    return d->share_qk ? align_reals((int64_t)(d->conv_width - 1) * d->C) : 0;
}

int64_t ttt_carry_reals(const struct dims *d)
{
    return ttt_halo_reals(d) + d->H * heads_stride(ttt_inner(d), head_width(d));
}

/* The halo, then the state of each head; the inner gradients are zero at boundaries. */
int ttt_carry_part(const struct dims *d, int i, int64_t *offset, int64_t *n)
{
    const struct inner *f = ttt_inner(d);
    const int F = head_width(d), h = d->share_qk ? i - 1 : i;

    *offset = h < 0 ? 0 : ttt_halo_reals(d) + h * heads_stride(f, F);
    *n = h < 0 ? (int64_t)(d->conv_width - 1) * d->C : inner_reals(f, 1, F).state;
    return h < d->H;
}

/* Parts of the state, and of those of the inner model the inner gradients. */
static int state_parts(const struct dims *d, int model_only)
{
    const struct inner *f = ttt_inner(d);
    struct inner_part p;
    int n = 0;
    while (model_only ? f->model->part(n, head_width(d), &p)
                      : inner_part(f, n, head_width(d), &p)) n++;
    return n;
}

/* Fast weights, their inner gradients after the state, the halo of Q and K. */
int ttt_state(const struct dims *d, int i, const char **name, int shape[3], int64_t *offset,
              int64_t *stride)
{
    static _Thread_local char text[INNER_NAME + 8];  /* until the next call */
    const struct inner *f = ttt_inner(d);
    const int F = head_width(d), parts = state_parts(d, 0), grads = state_parts(d, 1);
    struct fast_weight w;

    if (i < parts + grads) {
        fast_weight(d, i < parts ? i : i - parts, &w);
        shape[0] = d->H;
        shape[1] = w.part.rows;
        shape[2] = w.part.cols;
        snprintf(text, sizeof text, "%s%s", i < parts ? "" : "igrad.", w.part.name);
        *name = text;
        *stride = heads_stride(f, F);
        *offset = ttt_halo_reals(d) + w.offset + (i < parts ? 0 : heads_state(f, F));
        return 1;
    }
    if (i > parts + grads || !d->share_qk) return 0;
    *name = "conv_state.ttt_conv_q";
    shape[0] = 1;
    shape[1] = d->conv_width - 1;
    shape[2] = d->C;
    *offset = *stride = 0;
    return 1;
}

void ttt_initial_states(const struct layer_call *c, real *out, int64_t stride)
{
    const int first = ttt_places(c->d).state;
    struct fast_weight w;

    for (int i = 0; fast_weight(c->d, i, &w); i++)
        for (int h = 0; h < c->d->H; h++) {
            real *to = out + h * stride + w.offset;
            if (w.param < 0) memset(to, 0, (size_t)w.n * sizeof *to);
            else memcpy(to, call_w(c, first + w.param) + h * w.n, (size_t)w.n * sizeof *to);
        }
}

void ttt_carry_start(const struct layer_call *c, real *carry)
{
    const int64_t reals = ttt_carry_reals(c->d);
    memset(carry, 0, (size_t)(c->B * reals) * sizeof *carry);
    for (int b = 0; b < c->B; b++)
        ttt_initial_states(c, carry + b * reals + ttt_halo_reals(c->d),
                           heads_stride(ttt_inner(c->d), head_width(c->d)));
}

void ttt_carry_start_backward(const struct layer_call *c, const real *dcarry)
{
    const struct dims *d = c->d;
    const int64_t reals = ttt_carry_reals(d), stride = heads_stride(ttt_inner(d), head_width(d));
    const int first = ttt_places(d).state;
    struct fast_weight w;

    for (int b = 0; b < c->B; b++)
        for (int i = 0; fast_weight(d, i, &w); i++) {
            const real *from = dcarry + b * reals + ttt_halo_reals(d) + w.offset;
            if (w.param >= 0)
                for (int h = 0; h < d->H; h++)
                    grad_add(c->grad, call_at(c, first + w.param) + h * w.n, from + h * stride,
                             w.n);
        }
}
