#include "src/layers/ttt.h"

#include <omp.h>
#include <string.h>

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/conv1d.h"
#include "src/kernels/layernorm.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"
#include "src/kernels/vecmath.h"
#include "src/layers/linear.h"
#include "src/layers/ttt_heads.h"
#include "src/layers/ttt_params.h"

/* --- arrays --------------------------------------------------------------- */

/* On the tape.  Y, behind a gate, is an operand (linear.h), and so is its DG. */
enum { T_U, T_V, T_G, T_SIG, T_Q, T_K, T_O, T_Z, T_Y, T_MU, T_RSTD, T_HALO, T_KEPT };

/* Scratch.  Gradients of the arrays above, and what is the same for a whole
 * call. */
enum { W_ROPE, W_TOK, W_INIT, W_LOCAL, W_DY, W_DZ, W_DG, W_DO, W_DQ, W_DK, W_DV, W_DSIG, W_DU,
       W_SMALL, W_SUM, W_DHALO, W_DHALO_K };

/* Arrays that only cross to the heads. */
static void passing(struct tape *t, struct arena *a, const struct layer_call *c)
{
    const int64_t NC = (int64_t)c->B * c->T * c->d->C;
    t->v[T_Q] = arena_reals(a, NC);
    t->v[T_K] = arena_reals(a, NC);
    t->v[T_V] = arena_reals(a, NC);
}

static void tape_tokens(struct tape *t, struct arena *a, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int64_t N = (int64_t)c->B * c->T, NC = N * d->C;
    t->v[T_U] = d->share_qk ? arena_reals(a, NC) : NULL;
    t->v[T_G] = d->gate ? arena_reals(a, NC) : NULL;
    t->v[T_SIG] = arena_reals(a, N * d->H);
    t->v[T_O] = arena_reals(a, NC);
    t->v[T_Z] = arena_reals(a, NC);
    t->v[T_Y] = d->gate ? arena_bytes(a, operand_bytes(c, d->C)) : t->v[T_Z];
    t->v[T_MU] = arena_reals(a, N);
    t->v[T_RSTD] = arena_reals(a, N);
    t->v[T_HALO] = arena_reals(a, c->B * ttt_halo_reals(d));
}

static int64_t kept_reals(const struct dims *d, int B, int T, int H, int group)
{
    return (int64_t)B * H * heads_kept(ttt_inner(d), T, d->K, head_width(d), group);
}

static void tape(struct tape *t, struct arena *a, const struct layer_call *c)
{
    const struct dims *d = c->d;
    tape_tokens(t, a, c);
    passing(t, a, c);
    t->v[T_KEPT] = c->group ? arena_reals(a, kept_reals(d, c->B, c->T, d->H, c->group)) : NULL;
}

/* Gradients that wait for the halo's. */
static void held(struct tape *w, struct arena *a, const struct layer_call *c)
{
    if (!c->d->share_qk) return;
    w->v[W_DU] = arena_reals(a, (int64_t)c->B * c->T * c->d->C);
    w->v[W_DHALO] = arena_reals(a, c->B * ttt_halo_reals(c->d));
}

static void work(struct tape *w, struct arena *a, const struct layer_call *c, int backward)
{
    const struct dims *d = c->d;
    const struct inner *f = ttt_inner(d);
    const int F = head_width(d), threads = omp_get_max_threads();
    const int64_t N = (int64_t)c->B * c->T, NC = N * d->C;
    w->v[W_ROPE] = arena_reals(a, (int64_t)d->K * F);
    w->v[W_TOK] = arena_reals(a, d->K);
    w->v[W_INIT] = arena_reals(a, d->H * heads_state(f, F));
    w->v[W_LOCAL] = arena_reals(a, threads * heads_scratch(f, c->T, d->K, F, c->group, backward));
    if (!backward) return;
    for (int i = W_DY; i <= W_DV; i++)
        w->v[i] = i == W_DG ? arena_bytes(a, operand_bytes(c, d->C)) : arena_reals(a, NC);
    w->v[W_DSIG] = arena_reals(a, N * d->H);
    w->v[W_SMALL] = arena_reals(a, (int64_t)c->B * d->H * heads_small(d->K, F));
    w->v[W_SUM] = arena_reals(a, align_reals((int64_t)d->C * d->conv_width) + 2 * align_reals(d->C));
    w->v[W_DHALO_K] = arena_reals(a, ttt_halo_reals(d));
    held(w, a, c);
}

/* --- forward -------------------------------------------------------------- */

CLONES
static void gate_sigmoid(real *sig, const real *bias, int64_t N, int H)
{
    for (int64_t n = 0; n < N; n++)
        for (int h = 0; h < H; h++) sig[n * H + h] = vsigmoid(sig[n * H + h] + bias[h]);
}

/* The gate of the inner learning rate: [E8]; 1 without it. */
static void inner_rates(const struct layer_call *c, const real *h, real *sig)
{
    const int k = ttt_places(c->d).lr, H = c->d->H, N = c->B * c->T;

    if (k < 0) {
        for (int64_t i = 0; i < (int64_t)N * H; i++) sig[i] = 1;
        return;
    }
    linear_forward(c, k, sig, reals(h));
    gate_sigmoid(sig, call_w(c, k + 1), N, H);
}

/* A share of the heads.  The order of s->in is that of the table at the end. */
static struct heads heads_of(const struct layer_call *c, const struct head_share *s, real *carry,
                             struct tape *w)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const struct inner *f = ttt_inner(d);
    const int F = head_width(d), at = (int)(c->pos % d->K);
    const int n = at + c->T < d->K ? at + c->T : d->K;
    const int64_t stride = heads_stride(f, F);

    heads_rope(w->v[W_ROPE], n, F, d->rope_theta);
    heads_tok(w->v[W_TOK], p.token_idx < 0 ? NULL : call_w(c, p.token_idx), d->K, d->without);
    if (c->stats) ttt_initial_states(c, w->v[W_INIT], heads_state(f, F));
    return (struct heads){
        .inner = f, .call = c, .H = s->H, .h0 = s->h0, .q = s->in[0], .k = s->in[1], .v = s->in[2],
        .sig = s->in[3], .tok = w->v[W_TOK], .rope = w->v[W_ROPE],
        .gamma = p.norm < 0 ? NULL : call_w(c, p.norm) + s->h0 * F,
        .beta = p.norm < 0 ? NULL : call_w(c, p.norm + 1) + s->h0 * F,
        .init = w->v[W_INIT] + s->h0 * heads_state(f, F), .carry = carry,
        .carry_reals = ttt_carry_reals(d), .offset = ttt_halo_reals(d) + s->h0 * stride,
        .kept = s->kept, .scratch = w->v[W_LOCAL],
    };
}

/* What the halo is made of. */
static void project(const struct layer_call *c, const real *h, struct tape *t)
{
    const struct dims *d = c->d;
    if (d->share_qk) linear_forward(c, ttt_places(d).q, t->v[T_U], reals(h));
}

/* Q and K from one projection, each through its convolution. */
static void shared_qk(const struct layer_call *c, real *carry, struct tape *t)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const int64_t TC = (int64_t)c->T * d->C, each = ttt_carry_reals(d);
    const size_t bytes = (size_t)ttt_halo_reals(d) * sizeof(real);

    for (int b = 0; b < c->B; b++) {
        real *halo = carry + b * each;
        memcpy(t->v[T_HALO] + b * ttt_halo_reals(d), halo, bytes);
        struct conv1d s = { .T = c->T, .C = d->C, .W = d->conv_width, .x = t->v[T_U] + b * TC,
                            .halo = halo, .w = call_w(c, p.conv_q), .b = call_w(c, p.conv_q + 1) };
        conv1d_forward(t->v[T_Q] + b * TC, &s);
        s.w = call_w(c, p.conv_k);
        s.b = call_w(c, p.conv_k + 1);
        conv1d_forward(t->v[T_K] + b * TC, &s);
        conv1d_halo(halo, t->v[T_U] + b * TC, c->T, d->C, d->conv_width);
    }
}

static void mix(const struct layer_call *c, const real *h, real *carry, struct tape *t)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);

    linear_forward(c, p.v, t->v[T_V], reals(h));
    if (d->gate) linear_forward(c, p.g, t->v[T_G], reals(h));
    inner_rates(c, h, t->v[T_SIG]);
    if (d->share_qk) {
        shared_qk(c, carry, t);
    } else {
        linear_forward(c, p.q, t->v[T_Q], reals(h));
        linear_forward(c, p.k, t->v[T_K], reals(h));
    }
}

static void inner(const struct layer_call *c, const struct head_share *share, real *carry,
                  struct tape *w)
{
    const struct heads s = heads_of(c, share, carry, w);
    poke();
    heads_forward(&s, share->out);
}

/* The normalised output behind its gate. */
static struct operand gated(const struct layer_call *c, const struct tape *t)
{
    return c->d->gate ? operand_of(c, t->v[T_Y]) : reals(t->v[T_Z]);
}

static void finish(const struct layer_call *c, real *y, struct tape *t)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const int C = d->C, N = c->B * c->T;

    layernorm_forward(t->v[T_Z], &(struct layernorm){
        .N = N, .C = C, .x = t->v[T_O], .gamma = call_w(c, p.post), .beta = call_w(c, p.post + 1),
        .eps = d->ln_eps, .mu = t->v[T_MU], .rstd = t->v[T_RSTD],
    });
    bf16 *rows = operand_rows(c, t->v[T_Y]);
    if (d->gate && rows) gelu_gate_forward_rows(rows, t->v[T_Z], t->v[T_G], N, C);
    else if (d->gate) gelu_gate_forward(t->v[T_Y], t->v[T_Z], t->v[T_G], (int64_t)N * C);
    linear_forward(c, p.o, y, gated(c, t));
}

/* All heads, from tape to tape. */
static struct head_share all_heads(const struct dims *d, struct tape *t, struct tape *w)
{
    return (struct head_share){
        .H = d->H, .in = { t->v[T_Q], t->v[T_K], t->v[T_V], t->v[T_SIG] }, .out = t->v[T_O],
        .din = { w->v[W_DQ], w->v[W_DK], w->v[W_DV], w->v[W_DSIG] }, .dout = w->v[W_DO],
        .kept = t->v[T_KEPT],
    };
}

static void forward(const struct layer_call *c, real *y, const real *h, real *carry,
                    struct tape *t, struct tape *w)
{
    const struct head_share all = all_heads(c->d, t, w);
    project(c, h, t);
    mix(c, h, carry, t);
    inner(c, &all, carry, w);
    finish(c, y, t);
}

/* --- backward ------------------------------------------------------------- */

/* LN over the whole width, sequence by sequence: its parameters' gradients are
 * contributions of a unit. */
static void post_norm_backward(const struct layer_call *c, struct tape *t, struct tape *w,
                               int post)
{
    const int C = c->d->C, T = c->T;
    const int64_t TC = (int64_t)T * C;
    real *dgamma = w->v[W_SUM], *dbeta = dgamma + align_reals(C);

    for (int b = 0; b < c->B; b++) {
        memset(dgamma, 0, (size_t)(2 * align_reals(C)) * sizeof *dgamma);
        const struct layernorm l = { .N = T, .C = C, .x = t->v[T_O] + b * TC,
                                     .gamma = call_w(c, post), .mu = t->v[T_MU] + (int64_t)b * T,
                                     .rstd = t->v[T_RSTD] + (int64_t)b * T };
        layernorm_backward(&(struct layernorm_grad){ w->v[W_DO] + b * TC, dgamma, dbeta },
                           w->v[W_DZ] + b * TC, &l);
        grad_add(c->grad, call_at(c, post), dgamma, C);
        grad_add(c->grad, call_at(c, post + 1), dbeta, C);
    }
}

/* The small parameters of H heads from h0 on, sequence by sequence.  Every head is a
 * contribution of its own, so that it does not matter which rank has which. */
static void small_grads(const struct layer_call *c, const struct ttt_places *p, const real *small,
                        const real *tok, int h0, int H)
{
    const int F = head_width(c->d), K = c->d->K;

    for (int i = 0; i < c->B * H; i++) {
        const real *s = small + i * heads_small(K, F);
        const int64_t at = (int64_t)(h0 + i % H) * F;
        if (p->norm >= 0) {
            grad_add(c->grad, call_at(c, p->norm) + at, s, F);
            grad_add(c->grad, call_at(c, p->norm + 1) + at, s + F, F);
        }
        for (int k = 0; p->token_idx >= 0 && k < K; k++)
            if (tok[k] > 0)  /* else clamped, [E8] */
                grad_add(c->grad, call_at(c, p->token_idx) + k, s + 2 * F + k, 1);
    }
}

/* dsig -> gradient of the gate's argument, in place, and of its bias. */
static void gate_backward(const struct layer_call *c, real *dsig, const real *sig, int bias)
{
    const int H = c->d->H, T = c->T;
    for (int b = 0; b < c->B; b++)
        for (int h = 0; h < H; h++) {
            double sum = 0;
            for (int64_t n = (int64_t)b * T; n < (int64_t)(b + 1) * T; n++) {
                const real s = sig[n * H + h];
                dsig[n * H + h] *= s * (1 - s);
                sum += (double)dsig[n * H + h];
            }
            const real db = (real)sum;
            grad_add(c->grad, call_at(c, bias) + h, &db, 1);
        }
}

/* One convolution of shared Q, K: du (T,C) set, dcarry's halo += . */
static void conv_backward(const struct layer_call *c, int k, real *du, real *dhalo,
                          const real *dy, const real *u, const real *halo, real *sum)
{
    const struct dims *d = c->d;
    const int C = d->C, W = d->conv_width;
    real *db = sum + align_reals((int64_t)C * W);

    memset(sum, 0, (size_t)(align_reals((int64_t)C * W) + C) * sizeof *sum);
    conv1d_backward(&(struct conv1d_grad){ .dx = du, .dhalo = dhalo, .dw = sum, .db = db }, dy,
                    &(struct conv1d){ .T = c->T, .C = C, .W = W, .x = u, .halo = halo,
                                      .w = call_w(c, k) });
    grad_add(c->grad, call_at(c, k), sum, (int64_t)C * W);
    grad_add(c->grad, call_at(c, k + 1), db, C);
}

static void finish_backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                            struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const int C = d->C, N = c->B * c->T;
    real *dz = w->v[W_DZ];
    bf16 *dg = operand_rows(c, w->v[W_DG]);

    linear_backward(c, p.o, d->gate ? w->v[W_DY] : dz, reals(dy), gated(c, t), 0);
    if (d->gate) {
        if (dg) gelu_gate_backward_rows(dz, dg, w->v[W_DY], t->v[T_Z], t->v[T_G], N, C);
        else gelu_gate_backward(dz, w->v[W_DG], w->v[W_DY], t->v[T_Z], t->v[T_G], (int64_t)N * C);
        linear_backward(c, p.g, dh, operand_of(c, w->v[W_DG]), reals(h), 0);
    }
    post_norm_backward(c, t, w, p.post);
}

static void inner_backward(const struct layer_call *c, const struct head_share *share,
                           real *dcarry, struct tape *w)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const struct heads s = heads_of(c, share, NULL, w);
    struct heads_grad g = { .dq = share->din[0], .dk = share->din[1], .dv = share->din[2],
                            .dsig = share->din[3], .small = w->v[W_SMALL], .dcarry = dcarry };
    memset(g.small, 0, (size_t)(c->B * s.H * heads_small(d->K, head_width(d))) * sizeof(real));
    poke();
    heads_backward(&s, &g, share->dout);
    small_grads(c, &p, g.small, s.tok, s.h0, s.H);
}

/* Without the gradient of the halo that the slice left behind. */
static void mix_backward(const struct layer_call *c, struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const int64_t TC = (int64_t)c->T * d->C, halo = ttt_halo_reals(d);
    if (!d->share_qk) return;

    for (int b = 0; b < c->B; b++) {
        const real *u = t->v[T_U] + b * TC, *before = t->v[T_HALO] + b * halo;
        real *du = w->v[W_DU] + b * TC, *du_k = w->v[W_DY] + b * TC;
        real *prev = w->v[W_DHALO] + b * halo, *prev_k = w->v[W_DHALO_K];
        conv_backward(c, p.conv_q, du, prev, w->v[W_DQ] + b * TC, u, before, w->v[W_SUM]);
        conv_backward(c, p.conv_k, du_k, prev_k, w->v[W_DK] + b * TC, u, before, w->v[W_SUM]);
        vec_add(du, du_k, TC);
        vec_add(prev, prev_k, (int64_t)(d->conv_width - 1) * d->C);
    }
}

static void halo_backward(const struct layer_call *c, real *dcarry, struct tape *w)
{
    const struct dims *d = c->d;
    const int64_t TC = (int64_t)c->T * d->C, halo = ttt_halo_reals(d);

    for (int b = 0; d->share_qk && b < c->B; b++) {
        real *prev = w->v[W_DHALO] + b * halo, *next = dcarry + b * ttt_carry_reals(d);
        conv1d_halo_backward(w->v[W_DU] + b * TC, prev, next, c->T, d->C, d->conv_width);
        memcpy(next, prev, (size_t)((d->conv_width - 1) * d->C) * sizeof *next);
    }
}

static void project_backward(const struct layer_call *c, real *dh, const real *h, struct tape *t,
                             struct tape *w)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);

    linear_share(c, reals(h));
    linear_backward(c, p.v, dh, reals(w->v[W_DV]), reals(h), d->gate);
    if (p.lr >= 0) {
        gate_backward(c, w->v[W_DSIG], t->v[T_SIG], p.lr + 1);
        linear_backward(c, p.lr, dh, reals(w->v[W_DSIG]), reals(h), 1);
    }
    if (d->share_qk) {
        linear_backward(c, p.q, dh, reals(w->v[W_DU]), reals(h), 1);
    } else {
        linear_backward(c, p.q, dh, reals(w->v[W_DQ]), reals(h), 1);
        linear_backward(c, p.k, dh, reals(w->v[W_DK]), reals(h), 1);
    }
}

static void backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                     real *dcarry, struct tape *t, struct tape *w)
{
    const struct head_share all = all_heads(c->d, t, w);
    finish_backward(c, dh, dy, h, t, w);
    inner_backward(c, &all, dcarry, w);
    mix_backward(c, t, w);
    halo_backward(c, dcarry, w);
    project_backward(c, dh, h, t, w);
}

static double flops(const struct dims *d, double keys)
{
    (void)keys;
    return d->H * ttt_inner(d)->model->flops(d->K, head_width(d));
}

static const struct layer_split split = {
    .in = { { T_Q, W_DQ, WIDE_HEAD }, { T_K, W_DK, WIDE_HEAD }, { T_V, W_DV, WIDE_HEAD },
            { T_SIG, W_DSIG, WIDE_ONE } },
    .n_in = 4, .out = { T_O, W_DO, WIDE_HEAD }, .halo_reals = ttt_halo_reals, .halo = T_U,
    .dhalo = W_DHALO, .passing = passing, .tape = tape_tokens, .held = held,
    .kept_reals = kept_reals, .project = project, .mix = mix, .inner = inner, .finish = finish,
    .finish_backward = finish_backward, .inner_backward = inner_backward,
    .mix_backward = mix_backward, .halo_backward = halo_backward,
    .project_backward = project_backward,
};

#define TTT_LAYER(called)                                                                      \
    {                                                                                          \
        .name = (called), .family = &family_ttt, .has = HAS_HEADS | HAS_INNER,                 \
        .fits = ttt_fits, .params = ttt_params,                                                \
        .carry_reals = ttt_carry_reals, .carry_part = ttt_carry_part,                          \
        .carry_start = ttt_carry_start, .carry_start_backward = ttt_carry_start_backward,      \
        .tape = tape, .work = work, .forward = forward, .backward = backward,                  \
        .state = ttt_state, .flops = flops, .split = &split,                                   \
    }

/* The table: a new inner model is a row here. */
static const struct { struct layer layer; const struct inner *inner; } rows[] = {
    { TTT_LAYER("ttt_linear"), &ttt_linear },
    { TTT_LAYER("ttt_mlp"), &ttt_mlp },
};

const struct layer *ttt_layer(int i)
{
    return i >= 0 && i < (int)(sizeof rows / sizeof *rows) ? &rows[i].layer : NULL;
}

const struct inner *ttt_inner(const struct dims *d)
{
    for (int i = 0; ttt_layer(i); i++)
        if (!strcmp(d->layer, ttt_layer(i)->name)) return rows[i].inner;
    die("no inner model for the layer '%s'", d->layer);
}
