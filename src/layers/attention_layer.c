/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/attention_layer.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/attention.h"
#include "src/kernels/rope.h"
#include "src/layers/linear.h"

/* --- parameters -------------------------------------------------------------- */

enum { P_Q, P_K, P_V, P_O, P_BIAS };  /* with qkv_bias, those of q, k and v from P_BIAS on */

/* Largest width of all heads, as of the model: whatever a file says, products of sizes do not
 * overflow. */
#define MOST_WIDTH (1 << 20)

/* Width of all keys, or all values. */
static int kv_width(const struct dims *d) { return head_groups(d) * head_width(d); }

/* Infinity and NaN are none of these numbers. */
static void rope_fits(struct fit *f, struct rope r)
{
    fit_must(f, KEYS("model.rope_scaling.type"),
             r.scaling >= ROPE_DEFAULT && r.scaling <= ROPE_LLAMA3,
             "expected default, linear or llama3, found number %d", r.scaling);
    fit_must(f, KEYS("model.rope_scaling.factor"),
             r.scaling == ROPE_DEFAULT || (r.factor >= 1 && r.factor < 1e9),
             "expected a number of at least 1, found %g", r.factor);
    if (r.scaling != ROPE_LLAMA3) return;
    fit_must(f, KEYS("model.rope_scaling.high_freq_factor", "model.rope_scaling.low_freq_factor"),
             r.low > 0 && r.low < r.high && r.high < 1e9,
             "expected more than model.rope_scaling.low_freq_factor (%g), found %g", r.low, r.high);
    fit_must(f, KEYS("model.rope_scaling.original_context"), r.original > 0,
             "expected at least one token, found %d", r.original);
}

static void fits(struct fit *f, const struct dims *d)
{
    fit_must(f, KEYS("model.kv_heads", "model.heads"), d->H % head_groups(d) == 0,
             "expected a divisor of model.heads (%d), found %d", d->H, head_groups(d));
    fit_must(f, KEYS("model.head_dim"), d->F % 2 == 0, "expected an even number, found %d", d->F);
    fit_must(f, KEYS("model.head_dim", "model.heads"), (int64_t)d->H * d->F <= MOST_WIDTH,
             "expected at most %d for all of the %d heads together, found %d", MOST_WIDTH, d->H,
             d->F);
    if (!d->F) fit_heads(f, d);
    rope_fits(f, rope_of(d));
}

static void params(struct param_table *t, const struct dims *d, const char *prefix)
{
    const int C = d->C, Q = heads_width(d), KV = kv_width(d);
    const int shape[][2] = { { Q, C }, { KV, C }, { KV, C }, { C, Q } };
    static const char *const weights[] = {
        "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
        "self_attn.o_proj.weight",
    };
    static const char *const biases[] = {
        "self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias",
    };

    for (int i = P_Q; i <= P_O; i++)
        param_add_product(t, prefix, weights[i], INIT_NORMAL, d->init_std,
                  PARAM_SHAPE(shape[i][0], shape[i][1]));
    if (d->qkv_bias)
        for (int i = P_Q; i <= P_V; i++) {
            const int k = param_add(t, prefix, biases[i], INIT_ZERO, 0, PARAM_SHAPE(shape[i][0]));
            t->p[k].no_decay = 1;
        }
}

/* --- arrays -------------------------------------------------------------------- */

static int past_reals(const struct dims *d) { return 2 * head_width(d); }

/* Reals of a token and group of heads: of its queries or outputs. */
static int group_width(const struct dims *d) { return heads_width(d) / head_groups(d); }

/* T_: from forward to backward.  What is kept begins with the output, then has the logarithms of
 * the softmax's sums.  W_: scratch.  Keys and values are there only until they are in the past; in
 * backward their gradients have the same place. */
enum { T_Q = A_OWN, T_O, T_KEPT, W_ROPE, W_LOCAL, W_K, W_V, W_DQ, W_DO, W_SUM };

/* G groups. */
static int64_t outputs(const struct dims *d, int B, int T, int G)
{
    return (int64_t)B * T * G * group_width(d);
}

static void arrays(struct layout *l, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int F = head_width(d), back = (l->lives & LIFE_BACK) != 0;
    const int64_t N = (int64_t)c->B * c->T, Q = N * heads_width(d), KV = N * kv_width(d);
    const int64_t sums = N * l->groups * (d->H / head_groups(d));

    layout_reals(l, LIFE_IN, T_Q, Q);
    layout_reals(l, LIFE_KEPT, T_KEPT, outputs(d, c->B, c->T, l->groups) + sums);
    if (l->lives & LIFE_KEPT) l->v[T_O] = l->v[T_KEPT];
    else layout_reals(l, LIFE_TAPE, T_O, Q);

    layout_reals(l, LIFE_SCRATCH, W_ROPE, (int64_t)c->T * F);
    layout_reals(l, LIFE_SCRATCH, W_LOCAL,
                 omp_get_max_threads() * attention_scratch(c->T, F, back));
    layout_reals(l, LIFE_SCRATCH, W_K, KV);
    layout_reals(l, LIFE_SCRATCH, W_V, KV);
    layout_reals(l, LIFE_BACK, W_DQ, Q);
    layout_reals(l, LIFE_BACK, W_DO, Q);
    layout_reals(l, LIFE_BACK, W_SUM, d->qkv_bias ? heads_width(d) : 0);
}

/* --- forward -------------------------------------------------------------------- */

static void mix(const struct layer_call *c, real *carry)
{
    const struct linear y[] = { { P_Q, c->v[T_Q] }, { P_K, c->v[W_K] }, { P_V, c->v[W_V] } };
    (void)carry;
    linear_forward_each(c, y, 3, reals(c->v[A_H]));
    if (!c->d->qkv_bias) return;
    linear_bias(c, P_BIAS + P_Q, c->v[T_Q], heads_width(c->d));
    linear_bias(c, P_BIAS + P_K, c->v[W_K], kv_width(c->d));
    linear_bias(c, P_BIAS + P_V, c->v[W_V], kv_width(c->d));
}

/* inner rotates keys in place, so a second append() finds them rotated. */
static void append(const struct layer_call *c, const struct head_share *s)
{
    const struct attention a = { .B = c->B, .T = c->T, .G = s->H, .F = head_width(c->d),
                                 .pos = c->pos, .room = c->room };
    attention_append(&a, c->past, s->in[1], s->in[2]);
}

/* A share of the groups of heads.  The order of s->in is that of the table at the end. */
static struct attention attention_of(const struct layer_call *c, const struct head_share *s)
{
    const struct dims *d = c->d;
    const int G = s->H, R = d->H / head_groups(d);
    return (struct attention){
        .B = c->B, .T = c->T, .G = G, .R = R, .F = head_width(d), .pos = c->pos, .room = c->room,
        .q = s->in[0], .past = c->past, .o = s->kept ? s->kept : s->out,
        .lse = s->kept ? s->kept + outputs(d, c->B, c->T, G) : NULL, .scratch = c->v[W_LOCAL],
        .bf16 = c->bf16 != NULL, .alone = c->decode,
    };
}

static void inner(const struct layer_call *c, const struct head_share *s, real *carry)
{
    const struct attention a = attention_of(c, s);
    const struct rope r = rope_of(c->d);
    (void)carry;
    rope_table(c->v[W_ROPE], c->pos, c->T, a.F, &r);
    rope_rotate(s->in[0], c->v[W_ROPE], c->B, c->T, a.G * a.R, a.F, 1);
    rope_rotate(s->in[1], c->v[W_ROPE], c->B, c->T, a.G, a.F, 1);
    append(c, s);
    poke();
    attention_forward(&a);
    if (a.o != s->out)
        memcpy(s->out, a.o, (size_t)outputs(c->d, c->B, c->T, a.G) * sizeof *s->out);
}

static void finish(const struct layer_call *c)
{
    linear_forward(c, P_O, c->v[A_Y], reals(c->v[T_O]));
}

/* --- backward ------------------------------------------------------------------- */

static void finish_backward(const struct layer_call *c)
{
    linear_backward(c, P_O, c->v[W_DO], reals(c->v[A_DY]), reals(c->v[T_O]), 0);
}

static void inner_backward(const struct layer_call *c, const struct head_share *s, real *dcarry)
{
    const struct attention a = attention_of(c, s);
    const struct rope r = rope_of(c->d);
    (void)dcarry;
    poke();
    attention_backward(&a, s->din[0], c->dpast, s->dout);
    attention_take(&a, s->din[1], s->din[2], c->dpast);
    rope_table(c->v[W_ROPE], c->pos, c->T, a.F, &r);
    rope_rotate(s->din[0], c->v[W_ROPE], c->B, c->T, a.G * a.R, a.F, -1);
    rope_rotate(s->din[1], c->v[W_ROPE], c->B, c->T, a.G, a.F, -1);
}

static void project_backward(const struct layer_call *c)
{
    const struct dims *d = c->d;
    const real *h = c->v[A_H];
    const struct { int k, M; const real *dy; } parts[] = {
        { P_Q, heads_width(d), c->v[W_DQ] }, { P_K, kv_width(d), c->v[W_K] },
        { P_V, kv_width(d), c->v[W_V] },
    };
    linear_share(c, reals(h));
    for (int i = 0; i < 3; i++) {
        linear_backward(c, parts[i].k, c->v[A_DH], reals(parts[i].dy), reals(h), i > 0);
        if (d->qkv_bias)
            linear_bias_backward(c, P_BIAS + parts[i].k, c->v[W_SUM], parts[i].dy, parts[i].M);
    }
}

/* q . k and p v. */
static double flops(const struct dims *d, double keys) { return 4.0 * heads_width(d) * keys; }

const struct layer layer_attention = {
    .name = "attention", .family = &family_llama, .has = HAS_HEADS | HAS_ATTENTION, .fits = fits,
    .params = params, .flops = flops, .past_reals = past_reals, .arrays = arrays,
    .in = { { T_Q, W_DQ, group_width }, { W_K, W_K, head_width }, { W_V, W_V, head_width } },
    .out = { T_O, W_DO, group_width }, .kept = T_KEPT, .mix = mix, .inner = inner,
    .finish = finish, .finish_backward = finish_backward, .inner_backward = inner_backward,
    .project_backward = project_backward, .append = append,
};
