/* SPDX-License-Identifier: Apache-2.0 */
/* Forward and backward of a block, in parts: the one place where a layer's parts are composed. */
#include <string.h>

#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/conv1d.h"
#include "src/kernels/rmsnorm.h"
#include "src/layers/block_own.h"
#include "src/layers/conv.h"
#include "src/layers/linear.h"

/* Parameters after i_conv (norm, weight, bias), i_layer - 1 (norm) and i_ffn. */
enum { CONV_NORM, CONV_W, CONV_B };
enum { FFN_NORM, FFN_GATE, FFN_UP, FFN_DOWN };

/* A call becomes one on this block, with these arrays. */
static void on_block(const struct block *b, struct layer_call *c, struct block_arrays *v)
{
    c->d = &b->d;
    c->first = b->i_layer;
    c->v = v->layer;
}

/* A slice too: the arrays that the layer has in common with the block. */
static void enter(const struct block *b, struct slice *s)
{
    on_block(b, &s->c, s->v);
    s->v->layer[A_H] = s->v->own[OWN_H];
    s->v->layer[A_Y] = b->d.E ? s->v->own[OWN_X2] : s->y;
    s->v->layer[A_DH] = s->v->own[OWN_DN];
    s->v->layer[A_DY] = s->dx;
}

static void norm_forward(const struct layer_call *c, int i, real *y, real *r, const real *x)
{
    rmsnorm_forward(y, r, x, c->w + c->t->p[i].offset, c->B * c->T, c->d->C, c->d->rms_eps);
}

/* The same where y is an operand. */
static void norm_operand(const struct layer_call *c, int i, real *y, real *r, const real *x)
{
    bf16 *rows = operand_rows(c, y);
    if (!rows) norm_forward(c, i, y, r, x);
    else rmsnorm_rows(rows, r, x, c->w + c->t->p[i].offset, c->B * c->T, c->d->C, c->d->rms_eps);
}

/* dx += ; the weight's gradient is one contribution for each sequence. */
static void norm_backward(const struct layer_call *c, int i, real *dx, const real *dy,
                          const real *x, const real *r, real *dw)
{
    const int C = c->d->C, T = c->T;
    const int64_t offset = c->t->p[i].offset;
    for (int b = 0; b < c->B; b++) {
        const int64_t at = (int64_t)b * T * C;
        memset(dw, 0, (size_t)C * sizeof *dw);
        rmsnorm_backward(dx + at, dw, dy + at, x + at, c->w + offset, r + (int64_t)b * T, T, C);
        grad_add(c->grad, offset, dw, C);
    }
}

/* --- parts of forward ------------------------------------------------------- */

static void normalise(const struct block *b, struct slice *s)
{
    real **v = s->v->own;
    enter(b, s);
    if (b->d.pre_conv) norm_forward(&s->c, b->i_conv + CONV_NORM, v[OWN_XN], v[OWN_R1], s->x);
}

/* The convolution in front. */
static struct conv conv_of(const struct block *b, const struct slice *s)
{
    return (struct conv){ b->i_conv + CONV_W - b->i_layer, b->i_conv + CONV_B - b->i_layer, b->d.C,
                          s->v->own[OWN_XN], s->v->own[OWN_HALO] };
}

/* The layer's input h = RMSNorm(x1), x1 = x + conv(RMSNorm(x)); then the layer's own. */
static void project(const struct block *b, struct slice *s, real *carry)
{
    const struct layer_call *c = &s->c;
    const struct dims *d = &b->d;
    real **v = s->v->own;

    if (d->pre_conv) {
        const struct conv conv = conv_of(b, s);
        conv_halo(c, &conv, carry, own_halo_reals(d));
        conv_forward(c, &conv, v[OWN_X1]);
        vec_add(v[OWN_X1], s->x, (int64_t)c->B * c->T * d->C);
    }
    norm_forward(c, b->i_layer - 1, v[OWN_H], v[OWN_R2], d->pre_conv ? v[OWN_X1] : s->x);
    linear_share(c, reals(v[OWN_H]));
    if (b->layer->project) b->layer->project(c);
}

static void mix(const struct block *b, struct slice *s, real *carry)
{
    if (b->layer->mix) b->layer->mix(&s->c, layer_carry(&s->c, carry));
}

static void inner(const struct block *b, struct slice *s, real *carry)
{
    const struct head_share all = layer_all_heads(b->layer, &s->c);
    b->layer->inner(&s->c, &all, layer_carry(&s->c, carry));
}

/* The layer's output is added to its stream; then the feed-forward. */
static void finish(const struct block *b, struct slice *s)
{
    const struct dims *d = &b->d;
    const int N = s->c.B * s->c.T;
    const int64_t NC = (int64_t)N * d->C;
    struct layer_call c = s->c;
    real **v = s->v->own;

    if (b->layer->finish) b->layer->finish(&s->c);
    vec_add(s->v->layer[A_Y], d->pre_conv ? v[OWN_X1] : s->x, NC);
    if (!d->E) return;
    c.first = b->i_ffn;
    norm_operand(&c, b->i_ffn + FFN_NORM, v[OWN_N], v[OWN_R3], v[OWN_X2]);
    const struct operand n = operand_of(&c, v[OWN_N]);
    linear_share(&c, n);
    linear_forward_each(&c, (struct linear[]){ { FFN_GATE, v[OWN_A] }, { FFN_UP, v[OWN_G] } }, 2,
                        n);
    bf16 *rows = operand_rows(&c, v[OWN_S]);
    if (rows) swiglu_forward_rows(rows, v[OWN_A], v[OWN_G], N, d->E);
    else swiglu_forward(v[OWN_S], v[OWN_A], v[OWN_G], (int64_t)N * d->E);
    linear_forward(&c, FFN_DOWN, s->y, operand_of(&c, v[OWN_S]));
    vec_add(s->y, v[OWN_X2], NC);
}

/* --- parts of backward ------------------------------------------------------ */

/* dx: gradient of y -> of x2. */
static void feed_forward_backward(const struct block *b, struct slice *s)
{
    const struct dims *d = &b->d;
    const int N = s->c.B * s->c.T;
    struct layer_call call = s->c, *c = &call;
    real **v = s->v->own;
    const struct operand n = operand_of(c, v[OWN_N]), silu = operand_of(c, v[OWN_S]);
    real *dn = v[OWN_DN];
    bf16 *da = operand_rows(c, v[OWN_DA]), *dg = operand_rows(c, v[OWN_DG]);

    c->first = b->i_ffn;
    linear_backward(c, FFN_DOWN, v[OWN_DS], reals(s->dx), silu, 0);
    if (da) swiglu_backward_rows(da, dg, v[OWN_DS], v[OWN_A], v[OWN_G], N, d->E);
    else swiglu_backward(v[OWN_DA], v[OWN_DG], v[OWN_DS], v[OWN_A], v[OWN_G], (int64_t)N * d->E);
    linear_share(c, n);
    linear_backward(c, FFN_GATE, dn, operand_of(c, v[OWN_DA]), n, 0);
    linear_backward(c, FFN_UP, dn, operand_of(c, v[OWN_DG]), n, 1);
    norm_backward(c, b->i_ffn + FFN_NORM, s->dx, dn, v[OWN_X2], v[OWN_R3], v[OWN_DW]);
}

static void finish_backward(const struct block *b, struct slice *s)
{
    enter(b, s);
    if (b->d.E) feed_forward_backward(b, s);
    if (b->layer->finish_backward) b->layer->finish_backward(&s->c);
}

static void inner_backward(const struct block *b, struct slice *s, real *dcarry)
{
    const struct head_share all = layer_all_heads(b->layer, &s->c);
    b->layer->inner_backward(&s->c, &all, layer_carry(&s->c, dcarry));
}

/* The layer's, then the gradient of h, in DN, is added to dx, then the convolution's: DN becomes
 * the gradient of the normalised inputs, without that of the halo passed to the next slice. */
static void project_backward(const struct block *b, struct slice *s)
{
    const struct dims *d = &b->d;
    const struct layer_call *c = &s->c;
    real **v = s->v->own;

    if (b->layer->project_backward) b->layer->project_backward(c);
    norm_backward(c, b->i_layer - 1, s->dx, v[OWN_DN], d->pre_conv ? v[OWN_X1] : s->x, v[OWN_R2],
                  v[OWN_DW]);
    if (!d->pre_conv) return;
    const struct conv conv = conv_of(b, s);
    conv_backward(c, &conv, v[OWN_DN], v[OWN_DHALO], s->dx, v[OWN_DW]);
}

static void normalise_backward(const struct block *b, struct slice *s)
{
    real **v = s->v->own;
    if (b->d.pre_conv)
        norm_backward(&s->c, b->i_conv + CONV_NORM, s->dx, v[OWN_DN], s->x, v[OWN_R1], v[OWN_DW]);
}

/* --- halos ------------------------------------------------------------------ */

int block_halo(struct block_halo *h, const struct block *b, int B, int which,
               const struct block_arrays *v)
{
    const struct halo_arrays *in_layer = &b->layer->halo;
    const int64_t own = own_halo_reals(&b->d);

    if (which == HALO_CONV)
        *h = (struct block_halo){ .width = b->d.pre_conv ? b->d.C : 0, .stride = own,
                                  .back_stride = own, .rows = v->own[OWN_XN],
                                  .drows = v->own[OWN_DN], .back = v->own[OWN_DHALO] };
    else if (in_layer->width)
        *h = (struct block_halo){ .width = in_layer->width(&b->d), .offset = B * own,
                                  .stride = b->layer->carry_reals(&b->d),
                                  .back_stride = layer_halo_reals(b->layer, &b->d),
                                  .rows = v->layer[in_layer->at],
                                  .drows = v->layer[in_layer->grad],
                                  .back = v->layer[in_layer->dhalo] };
    else return 0;
    h->n = (int64_t)(b->d.conv_width - 1) * h->width;
    return h->n > 0;
}

void block_halo_backward(const struct block *b, struct slice *s, int n, int which, real *dcarry)
{
    const int W = b->d.conv_width;
    struct block_halo h;

    for (int j = n - 1; j >= 0; j--) {
        if (!block_halo(&h, b, s[j].c.B, which, s[j].v)) return;
        for (int i = 0; i < s[j].c.B; i++) {
            real *prev = h.back + i * h.back_stride, *next = dcarry + h.offset + i * h.stride;
            conv1d_halo_backward(h.drows + (int64_t)i * s[j].c.T * h.width, prev, next, s[j].c.T,
                                 h.width, W);
            memcpy(next, prev, (size_t)h.n * sizeof *next);
        }
    }
}

/* --- the block --------------------------------------------------------------- */

static const struct block_hooks no_hooks;

void block_forward(const struct block *b, struct slice *s, int n, real *carry,
                   const struct block_hooks *hooks)
{
    const struct block_hooks *k = hooks ? hooks : &no_hooks;

    if (k->begin) k->begin(k->ctx, 0);
    for (int j = 0; j < n; j++) normalise(b, &s[j]);
    if (hooks) k->halo(k->ctx, HALO_CONV, 0);
    for (int j = 0; j < n; j++) project(b, &s[j], carry);
    if (hooks) k->halo(k->ctx, HALO_LAYER, 0);
    for (int j = 0; j < n; j++) {
        mix(b, &s[j], carry);
        if (k->give) k->give(k->ctx, j, 0);
    }
    if (k->middle) k->middle(k->ctx, 0);
    for (int j = 0; j < n; j++) {
        if (k->take) k->take(k->ctx, j, 0);
        else inner(b, &s[j], carry);
        finish(b, &s[j]);
    }
    if (k->end) k->end(k->ctx, 0);
}

/* Slices share LIFE_BACK, so what crossed is taken again before project_backward; without a
 * mix_backward the first time is not needed. */
void block_backward(const struct block *b, struct slice *s, int n, real *dcarry,
                    const struct block_hooks *hooks)
{
    const struct block_hooks *k = hooks ? hooks : &no_hooks;
    const struct layer *layer = b->layer;

    if (k->begin) k->begin(k->ctx, 1);
    for (int j = n - 1; j >= 0; j--) {
        finish_backward(b, &s[j]);
        if (k->give) k->give(k->ctx, j, 1);
    }
    if (k->middle) k->middle(k->ctx, 1);
    for (int j = n - 1; j >= 0; j--) {
        if (!k->take) inner_backward(b, &s[j], dcarry);
        else if (layer->mix_backward) k->take(k->ctx, j, 1);
        if (layer->mix_backward) layer->mix_backward(&s[j].c);
    }
    if (hooks) k->halo(k->ctx, HALO_LAYER, 1);
    else block_halo_backward(b, s, n, HALO_LAYER, dcarry);
    for (int j = n - 1; j >= 0; j--) {
        if (k->take) k->take(k->ctx, j, 1);
        project_backward(b, &s[j]);
    }
    if (hooks) k->halo(k->ctx, HALO_CONV, 1);
    else block_halo_backward(b, s, n, HALO_CONV, dcarry);
    for (int j = n - 1; j >= 0; j--) normalise_backward(b, &s[j]);
    if (k->end) k->end(k->ctx, 1);
}

/* --- for hooks ---------------------------------------------------------------- */

void block_inner(const struct block *b, struct layer_call *c, struct block_arrays *v,
                 const struct head_share *s, real *carry)
{
    on_block(b, c, v);
    b->layer->inner(c, s, layer_carry(c, carry));
}

void block_inner_backward(const struct block *b, struct layer_call *c, struct block_arrays *v,
                          const struct head_share *s, real *dcarry)
{
    on_block(b, c, v);
    b->layer->inner_backward(c, s, layer_carry(c, dcarry));
}

void block_append(const struct block *b, struct layer_call *c, struct block_arrays *v,
                  const struct head_share *s)
{
    on_block(b, c, v);
    if (b->layer->append) b->layer->append(c, s);
}

void block_map(const struct block *b, struct slice *s, real *map, int back)
{
    const struct head_share all = layer_all_heads(b->layer, &s->c);
    (back ? b->layer->map_backward : b->layer->map)(&s->c, &all, map);
}
