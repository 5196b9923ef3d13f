/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/ttt.h"

#include <omp.h>
#include <string.h>

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/layernorm.h"
#include "src/kernels/vecmath.h"
#include "src/layers/conv.h"
#include "src/layers/linear.h"
#include "src/layers/ttt_heads.h"
#include "src/layers/ttt_inner.h"
#include "src/layers/ttt_params.h"

/* --- arrays --------------------------------------------------------------- */

/* T_: from forward to backward.  Y, after the gate, is an operand (linear.h), and so is its DG.
 * W_: scratch, gradients of the arrays above, and what is the same for a whole call. */
enum { T_U = A_OWN, T_V, T_G, T_SIG, T_Q, T_K, T_O, T_Z, T_Y, T_MU, T_RSTD, T_HALO, T_KEPT,
       W_ROPE, W_TOK, W_INIT, W_LOCAL, W_DY, W_DZ, W_DG, W_DO, W_DQ, W_DK, W_DV, W_DSIG, W_DU,
       W_SMALL, W_SUM, W_DHALO, W_DHALO_K };

/* Gates of a token: one for each rate of each head. */
static int gates(const struct dims *d) { return d->H * ttt_rates(d); }

static void arrays(struct layout *l, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const struct inner *f = ttt_inner(d);
    const int F = head_width(d), K = d->K, back = (l->lives & LIFE_BACK) != 0;
    const int64_t N = (int64_t)c->B * c->T, NC = N * d->C, shared = d->share_qk, gate = d->gate;
    const int64_t local = heads_scratch(f, c->T, K, F, c->group, back);

    layout_reals(l, LIFE_TAPE, T_U, shared * NC);
    layout_reals(l, LIFE_TAPE, T_G, gate * NC);
    layout_reals(l, LIFE_TAPE, T_SIG, N * gates(d));
    layout_reals(l, LIFE_TAPE, T_O, NC);
    layout_reals(l, LIFE_TAPE, T_Z, NC);
    layout_bytes(l, LIFE_TAPE, T_Y, gate * operand_bytes(c, d->C));
    layout_reals(l, LIFE_TAPE, T_MU, N);
    layout_reals(l, LIFE_TAPE, T_RSTD, N);
    layout_reals(l, LIFE_TAPE, T_HALO, c->B * ttt_halo_reals(d));
    layout_reals(l, LIFE_IN, T_Q, NC);
    layout_reals(l, LIFE_IN, T_K, NC);
    layout_reals(l, LIFE_IN, T_V, NC);
    layout_reals(l, LIFE_KEPT, T_KEPT,
                 c->group ? (int64_t)c->B * l->groups * heads_kept(f, c->T, K, F, c->group) : 0);

    layout_reals(l, LIFE_SCRATCH, W_ROPE, (int64_t)K * F);
    layout_reals(l, LIFE_SCRATCH, W_TOK, K);
    layout_reals(l, LIFE_SCRATCH, W_INIT, d->H * heads_state(f, F));
    layout_reals(l, LIFE_SCRATCH, W_LOCAL, omp_get_max_threads() * local);

    layout_reals(l, LIFE_BACK, W_DY, NC);
    layout_reals(l, LIFE_BACK, W_DZ, NC);
    layout_bytes(l, LIFE_BACK, W_DG, operand_bytes(c, d->C));
    for (int i = W_DO; i <= W_DV; i++) layout_reals(l, LIFE_BACK, i, NC);
    layout_reals(l, LIFE_BACK, W_DSIG, N * gates(d));
    layout_reals(l, LIFE_BACK, W_SMALL, (int64_t)c->B * d->H * heads_small(K, F));
    layout_reals(l, LIFE_BACK, W_SUM,
                 align_reals((int64_t)d->C * d->conv_width) + 2 * align_reals(d->C));
    layout_reals(l, LIFE_BACK, W_DHALO_K, c->B * ttt_halo_reals(d));
    layout_reals(l, LIFE_WAIT, W_DU, shared * NC);
    layout_reals(l, LIFE_WAIT, W_DHALO, c->B * ttt_halo_reals(d));
}

/* --- forward -------------------------------------------------------------- */

CLONES
static void gate_sigmoid(real *sig, const real *bias, int64_t N, int H)
{
    for (int64_t n = 0; n < N; n++)
        for (int h = 0; h < H; h++) sig[n * H + h] = vsigmoid(sig[n * H + h] + bias[h]);
}

/* The gate of the inner learning rate, from its argument without the bias: [E8]; 1 without it. */
static void inner_rates(const struct layer_call *c, real *sig)
{
    const int k = ttt_places(c->d).lr, G = gates(c->d), N = c->B * c->T;

    if (k >= 0) gate_sigmoid(sig, call_w(c, k + 1), N, G);
    else for (int64_t i = 0; i < (int64_t)N * G; i++) sig[i] = 1;
}

/* A share of the heads.  The order of s->in is that of the table at the end. */
static struct heads heads_of(const struct layer_call *c, const struct head_share *s, real *carry)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const struct inner *f = ttt_inner(d);
    const int F = head_width(d), at = (int)(c->pos % d->K);
    const int n = at + c->T < d->K ? at + c->T : d->K;
    const int64_t stride = heads_stride(f, F);

    heads_rope(c->v[W_ROPE], n, F, d->rope_theta);
    heads_tok(c->v[W_TOK], p.token_idx < 0 ? NULL : call_w(c, p.token_idx), d->K, d->without);
    if (c->stats) ttt_initial_states(c, c->v[W_INIT], heads_state(f, F));
    return (struct heads){
        .inner = f, .call = c, .H = s->H, .h0 = s->h0, .q = s->in[0], .k = s->in[1], .v = s->in[2],
        .sig = s->in[3], .tok = c->v[W_TOK], .rope = c->v[W_ROPE],
        .gamma = p.norm < 0 ? NULL : call_w(c, p.norm) + s->h0 * F,
        .beta = p.norm < 0 ? NULL : call_w(c, p.norm + 1) + s->h0 * F,
        .init = c->v[W_INIT] + s->h0 * heads_state(f, F), .carry = carry,
        .carry_reals = ttt_carry_reals(d), .offset = ttt_halo_reals(d) + s->h0 * stride,
        .kept = s->kept, .scratch = c->v[W_LOCAL],
    };
}

/* What the halo is made of. */
static void project(const struct layer_call *c)
{
    const struct dims *d = c->d;
    if (d->share_qk) linear_forward(c, ttt_places(d).q, c->v[T_U], reals(c->v[A_H]));
}

/* The convolution of shared Q and K that begins with parameter k. */
static struct conv conv_of(const struct layer_call *c, int k)
{
    return (struct conv){ k, k + 1, c->d->C, c->v[T_U], c->v[T_HALO] };
}

/* Q and K from one projection, each through its convolution. */
static void shared_qk(const struct layer_call *c, real *carry)
{
    const struct ttt_places p = ttt_places(c->d);
    const struct conv q = conv_of(c, p.conv_q), k = conv_of(c, p.conv_k);

    conv_halo(c, &q, carry, ttt_carry_reals(c->d));
    conv_forward(c, &q, c->v[T_Q]);
    conv_forward(c, &k, c->v[T_K]);
}

static void mix(const struct layer_call *c, real *carry)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    struct linear y[5] = { { p.v, c->v[T_V] } };
    int n = 1;

    if (d->gate) y[n++] = (struct linear){ p.g, c->v[T_G] };
    if (p.lr >= 0) y[n++] = (struct linear){ p.lr, c->v[T_SIG] };
    if (!d->share_qk) {
        y[n++] = (struct linear){ p.q, c->v[T_Q] };
        y[n++] = (struct linear){ p.k, c->v[T_K] };
    }
    linear_forward_each(c, y, n, reals(c->v[A_H]));
    inner_rates(c, c->v[T_SIG]);
    if (d->share_qk) shared_qk(c, carry);
}

static void inner(const struct layer_call *c, const struct head_share *share, real *carry)
{
    const struct heads s = heads_of(c, share, carry);
    poke();
    heads_forward(&s, share->out);
}

/* The normalised output times its gate. */
static struct operand gated(const struct layer_call *c)
{
    return c->d->gate ? operand_of(c, c->v[T_Y]) : reals(c->v[T_Z]);
}

static void finish(const struct layer_call *c)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const int C = d->C, N = c->B * c->T;

    layernorm_forward(c->v[T_Z], &(struct layernorm){
        .N = N, .C = C, .x = c->v[T_O], .gamma = call_w(c, p.post), .beta = call_w(c, p.post + 1),
        .eps = d->ln_eps, .mu = c->v[T_MU], .rstd = c->v[T_RSTD],
    });
    bf16 *rows = operand_rows(c, c->v[T_Y]);
    if (d->gate && rows) gelu_gate_forward_rows(rows, c->v[T_Z], c->v[T_G], N, C);
    else if (d->gate) gelu_gate_forward(c->v[T_Y], c->v[T_Z], c->v[T_G], (int64_t)N * C);
    linear_forward(c, p.o, c->v[A_Y], gated(c));
}

/* --- backward ------------------------------------------------------------- */

/* LN over the whole width, sequence by sequence: its parameters' gradients are
 * contributions of a unit. */
static void post_norm_backward(const struct layer_call *c, int post)
{
    const int C = c->d->C, T = c->T;
    const int64_t TC = (int64_t)T * C;
    real *dgamma = c->v[W_SUM], *dbeta = dgamma + align_reals(C);

    for (int b = 0; b < c->B; b++) {
        memset(dgamma, 0, (size_t)(2 * align_reals(C)) * sizeof *dgamma);
        const struct layernorm l = { .N = T, .C = C, .x = c->v[T_O] + b * TC,
                                     .gamma = call_w(c, post), .mu = c->v[T_MU] + (int64_t)b * T,
                                     .rstd = c->v[T_RSTD] + (int64_t)b * T };
        layernorm_backward(&(struct layernorm_grad){ c->v[W_DO] + b * TC, dgamma, dbeta },
                           c->v[W_DZ] + b * TC, &l);
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
        if (p->token_idx >= 0)
            for (int k = 0; k < K; k++)
                if (tok[k] > 0)  /* else clamped, [E8] */
                    grad_add(c->grad, call_at(c, p->token_idx) + k, s + 2 * F + k, 1);
    }
}

/* dsig -> gradient of the gate's argument, in place, and of its bias. */
static void gate_backward(const struct layer_call *c, real *dsig, const real *sig, int bias)
{
    const int G = gates(c->d), T = c->T;
    for (int b = 0; b < c->B; b++)
        for (int g = 0; g < G; g++) {
            double sum = 0;
            for (int64_t n = (int64_t)b * T; n < (int64_t)(b + 1) * T; n++) {
                const real s = sig[n * G + g];
                dsig[n * G + g] *= s * (1 - s);
                sum += (double)dsig[n * G + g];
            }
            const real db = (real)sum;
            grad_add(c->grad, call_at(c, bias) + g, &db, 1);
        }
}

static void finish_backward(const struct layer_call *c)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const int C = d->C, N = c->B * c->T;
    real *dz = c->v[W_DZ];
    bf16 *dg = operand_rows(c, c->v[W_DG]);

    linear_backward(c, p.o, d->gate ? c->v[W_DY] : dz, reals(c->v[A_DY]), gated(c), 0);
    if (d->gate) {
        if (dg) gelu_gate_backward_rows(dz, dg, c->v[W_DY], c->v[T_Z], c->v[T_G], N, C);
        else gelu_gate_backward(dz, c->v[W_DG], c->v[W_DY], c->v[T_Z], c->v[T_G], (int64_t)N * C);
        linear_backward(c, p.g, c->v[A_DH], operand_of(c, c->v[W_DG]), reals(c->v[A_H]), 0);
    }
    post_norm_backward(c, p.post);
}

static void inner_backward(const struct layer_call *c, const struct head_share *share,
                           real *dcarry)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const struct heads s = heads_of(c, share, NULL);
    struct heads_grad g = { .dq = share->din[0], .dk = share->din[1], .dv = share->din[2],
                            .dsig = share->din[3], .small = c->v[W_SMALL], .dcarry = dcarry };
    memset(g.small, 0, (size_t)(c->B * s.H * heads_small(d->K, head_width(d))) * sizeof(real));
    poke();
    heads_backward(&s, &g, share->dout);
    small_grads(c, &p, g.small, s.tok, s.h0, s.H);
}

static void mix_backward(const struct layer_call *c)
{
    const struct ttt_places p = ttt_places(c->d);
    real **v = c->v;

    if (!c->d->share_qk) return;
    const struct conv q = conv_of(c, p.conv_q), k = conv_of(c, p.conv_k);
    conv_backward(c, &q, v[W_DU], v[W_DHALO], v[W_DQ], v[W_SUM]);
    conv_backward(c, &k, v[W_DY], v[W_DHALO_K], v[W_DK], v[W_SUM]);
    vec_add(v[W_DU], v[W_DY], (int64_t)c->B * c->T * c->d->C);
    vec_add(v[W_DHALO], v[W_DHALO_K], c->B * ttt_halo_reals(c->d));
}

static void project_backward(const struct layer_call *c)
{
    const struct dims *d = c->d;
    const struct ttt_places p = ttt_places(d);
    const real *h = c->v[A_H];
    real *dh = c->v[A_DH];

    linear_share(c, reals(h));
    linear_backward(c, p.v, dh, reals(c->v[W_DV]), reals(h), d->gate);
    if (p.lr >= 0) {
        gate_backward(c, c->v[W_DSIG], c->v[T_SIG], p.lr + 1);
        linear_backward(c, p.lr, dh, reals(c->v[W_DSIG]), reals(h), 1);
    }
    if (d->share_qk) {
        linear_backward(c, p.q, dh, reals(c->v[W_DU]), reals(h), 1);
    } else {
        linear_backward(c, p.q, dh, reals(c->v[W_DQ]), reals(h), 1);
        linear_backward(c, p.k, dh, reals(c->v[W_DK]), reals(h), 1);
    }
}

static double flops(const struct dims *d, double keys)
{
    (void)keys;
    return d->H * ttt_inner(d)->model->flops(d->K, head_width(d));
}

static int chunk(const struct dims *d) { return d->K; }
static int halo_width(const struct dims *d) { return d->share_qk ? d->C : 0; }

#define TTT_LAYER(called, pair)                                                                \
    {                                                                                          \
        .name = (called), .family = &family_ttt, .has = HAS_HEADS | HAS_INNER,                 \
        .fits = ttt_fits, .params = ttt_params, .chunk = chunk, .flops = flops,                \
        .carry_reals = ttt_carry_reals, .carry_part = ttt_carry_part,                          \
        .carry_start = ttt_carry_start, .carry_start_backward = ttt_carry_start_backward,      \
        .state = ttt_state, .arrays = arrays,                                                  \
        .in = { { T_Q, W_DQ, head_width }, { T_K, W_DK, head_width },                          \
                { T_V, W_DV, head_width }, { T_SIG, W_DSIG, ttt_rates } },                     \
        .out = { T_O, W_DO, head_width }, .kept = T_KEPT,                                      \
        .halo = { T_U, W_DU, W_DHALO, halo_width },                                            \
        .project = project, .mix = mix, .inner = inner, .finish = finish,                      \
        .finish_backward = finish_backward, .inner_backward = inner_backward,                  \
        .mix_backward = mix_backward, .project_backward = project_backward,                    \
    },

/* --- the layers ----------------------------------------------------------------- */

static const struct layer rows[] = { TTT_LAYERS(TTT_LAYER) };
enum { ROWS = sizeof rows / sizeof *rows };

static struct layer added;

void ttt_add(const char *name, const struct inner *f)
{
    added = rows[0];
    added.name = name;
    ttt_inner_add(name, f);
}

const struct layer *ttt_layer(int i)
{
    if (i >= 0 && i < ROWS) return &rows[i];
    return i == ROWS && added.name ? &added : NULL;
}
