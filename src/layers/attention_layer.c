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

/* Also infinity and NaN are none of these. */
static int rope_fits(struct rope r)
{
    if (r.scaling < ROPE_DEFAULT || r.scaling > ROPE_LLAMA3)
        return fail(ERR_CONFIG, "rope scaling number %d is none that this program knows", r.scaling);
    if (r.scaling != ROPE_DEFAULT && !(r.factor >= 1 && r.factor < 1e9))
        return fail(ERR_CONFIG, "rope scaling by %g (model.rope_scaling.factor): it must be at least 1",
                    r.factor);
    if (r.scaling == ROPE_LLAMA3 && !(r.low > 0 && r.low < r.high && r.high < 1e9 &&
                                       r.original > 0))
        return fail(ERR_CONFIG, "rope scaling llama3 between the factors %g and %g of %d tokens: "
                    "expected 0 < low_freq_factor < high_freq_factor and at least one token",
                    r.low, r.high, r.original);
    return OK;
}

static int fits(const struct dims *d)
{
    if (!d->F && d->C % d->H)
        return fail(ERR_CONFIG, "model.heads %d does not divide model.width %d", d->H, d->C);
    if (d->F < 0 || (int64_t)d->H * head_width(d) > MOST_WIDTH)
        return fail(ERR_CONFIG, "%d heads (model.heads) of width %d (model.head_dim) are wider than "
                    "%d together", d->H, head_width(d), MOST_WIDTH);
    if (d->H % head_groups(d))
        return fail(ERR_CONFIG, "model.kv_heads %d does not divide model.heads %d", d->Hkv, d->H);
    if (head_width(d) % 2)
        return fail(ERR_CONFIG, "head width %d (model.head_dim, or model.width / model.heads) must be "
                    "even for RoPE", head_width(d));
    if (d->gate || d->share_qk)
        return fail(ERR_CONFIG, "model.gate and model.share_qk: attention has neither");
    return rope_fits(rope_of(d));
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
    for (int i = P_Q; d->qkv_bias && i <= P_V; i++) {
        const int k = param_add(t, prefix, biases[i], INIT_ZERO, 0, PARAM_SHAPE(shape[i][0]));
        t->p[k].no_decay = 1;
    }
}

/* --- carry -------------------------------------------------------------------- */

static int64_t carry_reals(const struct dims *d)
{
    (void)d;
    return 0;
}

static int carry_part(const struct dims *d, int i, int64_t *offset, int64_t *n)
{
    (void)d;
    (void)i;
    *offset = *n = 0;
    return 0;
}

static void carry_start(const struct layer_call *c, real *carry)
{
    (void)c;
    (void)carry;
}

static void carry_start_backward(const struct layer_call *c, const real *dcarry)
{
    (void)c;
    (void)dcarry;
}

static int past_reals(const struct dims *d) { return 2 * head_width(d); }

/* --- arrays -------------------------------------------------------------------- */

/* On the tape.  What is kept for backward begins with the output, then has the logarithms of the
 * softmax's sums.  Keys and values are on it only on their way to other ranks. */
enum { T_Q, T_K, T_V, T_O, T_KEPT };

/* Scratch.  Forward makes keys and values where backward has their gradients. */
enum { W_ROPE, W_LOCAL, W_DQ, W_DK, W_DV, W_DO, W_SUM };

/* H: groups. */
static int64_t outputs(const struct dims *d, int B, int T, int H)
{
    return (int64_t)B * T * H * (heads_width(d) / head_groups(d));
}

static int64_t kept_reals(const struct dims *d, int B, int T, int H, int group)
{
    (void)group;
    return outputs(d, B, T, H) + (int64_t)B * T * H * (d->H / head_groups(d));
}

static void passing(struct tape *t, struct arena *a, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int64_t N = (int64_t)c->B * c->T;
    t->v[T_Q] = arena_reals(a, N * heads_width(d));
    t->v[T_K] = arena_reals(a, N * kv_width(d));
    t->v[T_V] = arena_reals(a, N * kv_width(d));
}

static void tape_tokens(struct tape *t, struct arena *a, const struct layer_call *c)
{
    t->v[T_O] = arena_reals(a, (int64_t)c->B * c->T * heads_width(c->d));
}

static void tape(struct tape *t, struct arena *a, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int64_t NQ = (int64_t)c->B * c->T * heads_width(d);
    const int64_t kept = kept_reals(d, c->B, c->T, head_groups(d), c->group);
    t->v[T_Q] = arena_reals(a, NQ);
    t->v[T_K] = t->v[T_V] = NULL;
    t->v[T_O] = arena_reals(a, c->group ? kept : NQ);
    t->v[T_KEPT] = c->group ? t->v[T_O] : NULL;
}

static void work(struct tape *w, struct arena *a, const struct layer_call *c, int backward)
{
    const struct dims *d = c->d;
    const int F = head_width(d);
    const int64_t N = (int64_t)c->B * c->T;
    w->v[W_ROPE] = arena_reals(a, (int64_t)c->T * F);
    w->v[W_LOCAL] = arena_reals(a, omp_get_max_threads() * attention_scratch(c->T, F, backward));
    w->v[W_DK] = arena_reals(a, N * kv_width(d));
    w->v[W_DV] = arena_reals(a, N * kv_width(d));
    if (!backward) return;
    w->v[W_DQ] = arena_reals(a, N * heads_width(d));
    w->v[W_DO] = arena_reals(a, N * heads_width(d));
    w->v[W_SUM] = arena_reals(a, d->qkv_bias ? heads_width(d) : 0);
}

/* --- forward -------------------------------------------------------------------- */

/* y (N,M) = h W' + b, W being one of q, k, v. */
static void project(const struct layer_call *c, int k, real *y, const real *h, int M)
{
    linear_forward(c, k, y, reals(h));
    if (c->d->qkv_bias) linear_bias(c, P_BIAS + k, y, M);
}

static void mix(const struct layer_call *c, const real *h, real *carry, struct tape *t)
{
    (void)carry;
    project(c, P_Q, t->v[T_Q], h, heads_width(c->d));
    project(c, P_K, t->v[T_K], h, kv_width(c->d));
    project(c, P_V, t->v[T_V], h, kv_width(c->d));
}

/* Keys turn where they are, so a second append() finds them transposed. */
static void append(const struct layer_call *c, const struct head_share *s)
{
    const struct attention a = { .B = c->B, .T = c->T, .G = s->H, .F = head_width(c->d),
                                 .pos = c->pos, .room = c->room };
    attention_append(&a, c->past, s->in[1], s->in[2]);
}

/* A share of the groups of heads.  The order of s->in is that of the table at the end. */
static struct attention attention_of(const struct layer_call *c, const struct head_share *s,
                                     struct tape *w)
{
    const struct dims *d = c->d;
    const int G = s->H, R = d->H / head_groups(d);
    return (struct attention){
        .B = c->B, .T = c->T, .G = G, .R = R, .F = head_width(d), .pos = c->pos, .room = c->room,
        .q = s->in[0], .past = c->past, .o = s->kept ? s->kept : s->out,
        .lse = s->kept ? s->kept + outputs(d, c->B, c->T, G) : NULL, .scratch = w->v[W_LOCAL],
        .bf16 = c->bf16 != NULL, .alone = c->alone,
    };
}

static void inner(const struct layer_call *c, const struct head_share *s, real *carry,
                  struct tape *w)
{
    const struct attention a = attention_of(c, s, w);
    const struct rope r = rope_of(c->d);
    (void)carry;
    rope_table(w->v[W_ROPE], c->pos, c->T, a.F, &r);
    rope_rotate(s->in[0], w->v[W_ROPE], c->B, c->T, a.G * a.R, a.F, 1);
    rope_rotate(s->in[1], w->v[W_ROPE], c->B, c->T, a.G, a.F, 1);
    append(c, s);
    poke();
    attention_forward(&a);
    if (a.o != s->out)
        memcpy(s->out, a.o, (size_t)outputs(c->d, c->B, c->T, a.G) * sizeof *s->out);
}

static void finish(const struct layer_call *c, real *y, struct tape *t)
{
    linear_forward(c, P_O, y, reals(t->v[T_O]));
}

/* All heads, from tape to tape. */
static struct head_share all_heads(const struct dims *d, struct tape *t, struct tape *w)
{
    return (struct head_share){
        .H = head_groups(d), .in = { t->v[T_Q], w->v[W_DK], w->v[W_DV] }, .out = t->v[T_O],
        .din = { w->v[W_DQ], w->v[W_DK], w->v[W_DV] }, .dout = w->v[W_DO], .kept = t->v[T_KEPT],
    };
}

static void forward(const struct layer_call *c, real *y, const real *h, real *carry,
                    struct tape *t, struct tape *w)
{
    const struct head_share all = all_heads(c->d, t, w);
    struct tape own = *t;
    own.v[T_K] = w->v[W_DK];
    own.v[T_V] = w->v[W_DV];
    mix(c, h, carry, &own);
    inner(c, &all, carry, w);
    finish(c, y, t);
}

/* --- backward ------------------------------------------------------------------- */

static void finish_backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                            struct tape *t, struct tape *w)
{
    (void)dh;
    (void)h;
    linear_backward(c, P_O, w->v[W_DO], reals(dy), reals(t->v[T_O]), 0);
}

static void inner_backward(const struct layer_call *c, const struct head_share *s, real *dcarry,
                           struct tape *w)
{
    const struct attention a = attention_of(c, s, w);
    const struct rope r = rope_of(c->d);
    (void)dcarry;
    poke();
    attention_backward(&a, s->din[0], c->dpast, s->dout);
    attention_take(&a, s->din[1], s->din[2], c->dpast);
    rope_table(w->v[W_ROPE], c->pos, c->T, a.F, &r);
    rope_rotate(s->din[0], w->v[W_ROPE], c->B, c->T, a.G * a.R, a.F, -1);
    rope_rotate(s->din[1], w->v[W_ROPE], c->B, c->T, a.G, a.F, -1);
}

static void project_backward(const struct layer_call *c, real *dh, const real *h, struct tape *t,
                             struct tape *w)
{
    const struct dims *d = c->d;
    const struct { int k, M; const real *dy; } parts[] = {
        { P_Q, heads_width(d), w->v[W_DQ] }, { P_K, kv_width(d), w->v[W_DK] },
        { P_V, kv_width(d), w->v[W_DV] },
    };
    (void)t;
    linear_share(c, reals(h));
    for (int i = 0; i < 3; i++) {
        linear_backward(c, parts[i].k, dh, reals(parts[i].dy), reals(h), i > 0);
        if (d->qkv_bias)
            linear_bias_backward(c, P_BIAS + parts[i].k, w->v[W_SUM], parts[i].dy, parts[i].M);
    }
}

static void backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                     real *dcarry, struct tape *t, struct tape *w)
{
    const struct head_share all = all_heads(c->d, t, w);
    finish_backward(c, dh, dy, h, t, w);
    inner_backward(c, &all, dcarry, w);
    project_backward(c, dh, h, t, w);
}

/* q . k and p v. */
static double flops(const struct dims *d, double keys) { return 4.0 * heads_width(d) * keys; }

static const struct layer_split split = {
    .in = { { T_Q, W_DQ, WIDE_GROUP }, { T_K, W_DK, WIDE_HEAD }, { T_V, W_DV, WIDE_HEAD } },
    .n_in = 3, .out = { T_O, W_DO, WIDE_GROUP }, .passing = passing, .tape = tape_tokens,
    .kept_reals = kept_reals, .mix = mix, .append = append, .inner = inner, .finish = finish,
    .finish_backward = finish_backward, .inner_backward = inner_backward,
    .project_backward = project_backward,
};

const struct layer layer_attention = {
    .name = "attention", .family = &family_llama, .has = HAS_HEADS | HAS_ATTENTION, .fits = fits,
    .params = params, .carry_reals = carry_reals, .carry_part = carry_part,
    .past_reals = past_reals, .carry_start = carry_start,
    .carry_start_backward = carry_start_backward, .tape = tape, .work = work,
    .forward = forward, .backward = backward, .flops = flops, .split = &split,
};
