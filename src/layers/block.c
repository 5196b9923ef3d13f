#include "src/layers/block.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/kernels/act.h"
#include "src/kernels/conv1d.h"
#include "src/kernels/rmsnorm.h"
#include "src/layers/linear.h"

/* Parameters after i_conv (norm, weight, bias), i_layer - 1 (norm) and i_ffn. */
enum { CONV_NORM, CONV_W, CONV_B };
enum { FFN_NORM, FFN_GATE, FFN_UP, FFN_DOWN };

void block_params(struct block *b, struct param_table *t, const struct dims *d,
                  const struct layer *layer, const char *prefix)
{
    const int C = d->C, E = d->E;
    const double taps = 1 / sqrt(d->conv_width);
    const struct family *f = layer->family;

    b->layer = layer;
    b->d = *d;
    snprintf(b->d.layer, sizeof b->d.layer, "%s", layer->name);
    b->i_conv = b->i_ffn = -1;
    if (d->pre_conv) {
        b->i_conv = param_add(t, prefix, "conv.norm.weight", INIT_ONE, 0, PARAM_SHAPE(C));
        param_add(t, prefix, "conv.conv.weight", INIT_UNIFORM, taps,
                  PARAM_SHAPE(C, 1, d->conv_width));
        param_add(t, prefix, "conv.conv.bias", INIT_UNIFORM, taps, PARAM_SHAPE(C));
    }
    param_add(t, prefix, f->seq_norm, INIT_ONE, 0, PARAM_SHAPE(C));
    b->i_layer = t->count;
    layer->params(t, d, prefix);
    if (!E) return;
    b->i_ffn = param_add(t, prefix, f->ffn_norm, INIT_ONE, 0, PARAM_SHAPE(C));
    param_add_product(t, prefix, f->gate, INIT_NORMAL, d->init_std, PARAM_SHAPE(E, C));
    param_add_product(t, prefix, f->up, INIT_NORMAL, d->init_std, PARAM_SHAPE(E, C));
    param_add_product(t, prefix, f->down, INIT_NORMAL, d->init_std, PARAM_SHAPE(C, E));
}

int block_first(const struct block *b) { return b->i_conv >= 0 ? b->i_conv : b->i_layer - 1; }

static int64_t halo_reals(const struct dims *d)
{
    return d->pre_conv ? align_reals((int64_t)(d->conv_width - 1) * d->C) : 0;
}

int64_t block_carry_reals(const struct block *b)
{
    const struct dims *d = &b->d;
    return halo_reals(d) + b->layer->carry_reals(d);
}

int64_t block_past_reals(const struct block *b)
{
    const struct dims *d = &b->d;
    return b->layer->past_reals ? (int64_t)head_groups(d) * b->layer->past_reals(d) : 0;
}

int block_carry_part(const struct block *b, int B, int i, int64_t *offset, int64_t *n)
{
    const struct dims *d = &b->d;
    int64_t at;
    int parts = 0;

    if (d->pre_conv && i < B) {
        *offset = i * halo_reals(d);
        *n = (int64_t)(d->conv_width - 1) * d->C;
        return 1;
    }
    if (d->pre_conv) i -= B;
    while (b->layer->carry_part(d, parts, &at, n)) parts++;
    if (i >= B * parts) return 0;
    b->layer->carry_part(d, i % parts, &at, n);
    *offset = B * halo_reals(d) + i / parts * b->layer->carry_reals(d) + at;
    return 1;
}

int block_state(const struct block *b, int B, const real *carry, int i, const char **name,
                int shape[3], const real **v, int64_t stride[2])
{
    const struct dims *d = &b->d;
    int64_t offset;

    if (d->pre_conv && i-- == 0) {
        *name = "conv_state.pre_conv";
        shape[0] = 1;
        shape[1] = d->conv_width - 1;
        shape[2] = d->C;
        *v = carry;
        stride[0] = halo_reals(d);
        stride[1] = 0;
        return 1;
    }
    if (!b->layer->state || !b->layer->state(d, i, name, shape, &offset, &stride[1])) return 0;
    *v = carry ? carry + B * halo_reals(d) + offset : NULL;
    stride[0] = b->layer->carry_reals(d);
    return 1;
}

/* A call becomes one on this block. */
static void on_block(const struct block *b, struct layer_call *c)
{
    c->d = &b->d;
    c->first = b->i_layer;
}

/* The block's carry is (B, halo + layer's); the layer wants (B, layer's).  They
 * are kept as two arrays one behind the other: all halos, then the layer's. */
static real *layer_carry(const struct layer_call *c, real *carry)
{
    return carry + c->B * halo_reals(c->d);
}

void block_carry_start(const struct block *b, struct layer_call *c, real *carry)
{
    on_block(b, c);
    memset(carry, 0, (size_t)(c->B * halo_reals(c->d)) * sizeof *carry);
    b->layer->carry_start(c, layer_carry(c, carry));
}

void block_carry_start_backward(const struct block *b, struct layer_call *c, const real *dcarry)
{
    on_block(b, c);
    b->layer->carry_start_backward(c, dcarry + c->B * halo_reals(c->d));
}

/* N, S, and of the scratch DA, DG, are operands (linear.h). */
enum { T_XN, T_R1, T_X1, T_H, T_R2, T_X2, T_N, T_R3, T_A, T_G, T_S, T_HALO };
enum { W_DW, W_DN, W_DA, W_DG, W_DS, W_DHALO };

static void own_tape(struct block_tape *t, struct arena *a, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int64_t N = (int64_t)c->B * c->T, NC = N * d->C, NE = N * d->E, ffn = d->E ? 1 : 0;
    const struct { int i; int64_t n; } arrays[] = {
        { T_XN, d->pre_conv ? NC : 0 }, { T_R1, N }, { T_X1, d->pre_conv ? NC : 0 },
        { T_H, NC }, { T_R2, N }, { T_R3, ffn * N }, { T_X2, ffn * NC },
        { T_A, NE }, { T_G, NE }, { T_HALO, c->B * halo_reals(d) },
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        t->own.v[arrays[i].i] = arena_reals(a, arrays[i].n);
    t->own.v[T_N] = arena_bytes(a, ffn * operand_bytes(c, d->C));
    t->own.v[T_S] = arena_bytes(a, ffn * operand_bytes(c, d->E));
}

void block_tape(const struct block *b, struct block_tape *t, struct arena *a,
                const struct layer_call *c)
{
    struct layer_call own = *c;
    on_block(b, &own);
    own_tape(t, a, &own);
    b->layer->tape(&t->layer, a, &own);
}

void block_split_tape(const struct block *b, struct block_tape *t, struct arena *a,
                      const struct layer_call *c)
{
    struct layer_call own = *c;
    on_block(b, &own);
    own_tape(t, a, &own);
    b->layer->split->tape(&t->layer, a, &own);
}

/* What waits for the gradient of the convolution's halo. */
static void own_held(struct block_tape *w, struct arena *a, const struct layer_call *c)
{
    w->own.v[W_DN] = arena_reals(a, (int64_t)c->B * c->T * c->d->C);
    w->own.v[W_DHALO] = arena_reals(a, c->B * halo_reals(c->d));
}

void block_held(const struct block *b, struct block_tape *w, struct arena *a,
                const struct layer_call *c)
{
    struct layer_call own = *c;
    on_block(b, &own);
    own_held(w, a, &own);
    if (b->layer->split->held) b->layer->split->held(&w->layer, a, &own);
}

void block_work(const struct block *b, struct block_tape *w, struct arena *a,
                const struct layer_call *call, int backward)
{
    struct layer_call own = *call, *c = &own;
    const struct dims *d = &b->d;
    on_block(b, c);
    if (backward) {
        w->own.v[W_DW] = arena_reals(a, align_reals((int64_t)d->C * d->conv_width) + d->C);
        w->own.v[W_DA] = arena_bytes(a, operand_bytes(c, d->E));
        w->own.v[W_DG] = arena_bytes(a, operand_bytes(c, d->E));
        w->own.v[W_DS] = arena_reals(a, (int64_t)c->B * c->T * d->E);
        own_held(w, a, c);
    }
    b->layer->work(&w->layer, a, c, backward);
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

/* --- forward -------------------------------------------------------------- */

void block_normalise(const struct block *b, struct layer_call *c, const real *x,
                     struct block_tape *t)
{
    on_block(b, c);
    if (c->d->pre_conv)
        norm_forward(c, b->i_conv + CONV_NORM, t->own.v[T_XN], t->own.v[T_R1], x);
}

/* The layer's input h = RMSNorm(x1), x1 = x + conv(RMSNorm(x)). */
static void layer_input(const struct block *b, struct layer_call *c, const real *x, real *carry,
                        struct tape *t)
{
    const struct dims *d = c->d;
    const int64_t TC = (int64_t)c->T * d->C, halo = halo_reals(d);

    if (d->pre_conv) memcpy(t->v[T_HALO], carry, (size_t)(c->B * halo) * sizeof *carry);
    for (int i = 0; d->pre_conv && i < c->B; i++) {
        conv1d_forward(t->v[T_X1] + i * TC, &(struct conv1d){
            .T = c->T, .C = d->C, .W = d->conv_width, .x = t->v[T_XN] + i * TC,
            .halo = carry + i * halo, .w = c->w + c->t->p[b->i_conv + CONV_W].offset,
            .b = c->w + c->t->p[b->i_conv + CONV_B].offset,
        });
        conv1d_halo(carry + i * halo, t->v[T_XN] + i * TC, c->T, d->C, d->conv_width);
    }
    if (d->pre_conv) vec_add(t->v[T_X1], x, c->B * TC);
    norm_forward(c, b->i_layer - 1, t->v[T_H], t->v[T_R2], d->pre_conv ? t->v[T_X1] : x);
    linear_share(c, reals(t->v[T_H]));
    c->first = b->i_layer;
}

/* Where the layer's output goes, and then the stream it is added to. */
static real *stream2(const struct dims *d, real *y, struct tape *t)
{
    return d->E ? t->v[T_X2] : y;
}

/* The layer's output is added to its stream; then the feed-forward. */
static void feed_forward(const struct block *b, struct layer_call *c, real *y, const real *x,
                         struct tape *t)
{
    const struct dims *d = c->d;
    const int N = c->B * c->T;
    const int64_t NC = (int64_t)N * d->C;

    vec_add(stream2(d, y, t), d->pre_conv ? t->v[T_X1] : x, NC);
    if (!d->E) return;
    norm_operand(c, b->i_ffn + FFN_NORM, t->v[T_N], t->v[T_R3], t->v[T_X2]);
    const struct operand n = operand_of(c, t->v[T_N]);
    c->first = b->i_ffn;
    linear_share(c, n);
    linear_forward(c, FFN_GATE, t->v[T_A], n);
    linear_forward(c, FFN_UP, t->v[T_G], n);
    bf16 *rows = operand_rows(c, t->v[T_S]);
    if (rows) swiglu_forward_rows(rows, t->v[T_A], t->v[T_G], N, d->E);
    else swiglu_forward(t->v[T_S], t->v[T_A], t->v[T_G], (int64_t)N * d->E);
    linear_forward(c, FFN_DOWN, y, operand_of(c, t->v[T_S]));
    vec_add(y, t->v[T_X2], NC);
}

void block_forward(const struct block *b, struct layer_call *c, real *y, const real *x,
                   real *carry, struct block_tape *t, struct block_tape *w)
{
    on_block(b, c);
    block_normalise(b, c, x, t);
    layer_input(b, c, x, carry, &t->own);
    b->layer->forward(c, stream2(c->d, y, &t->own), t->own.v[T_H], layer_carry(c, carry), &t->layer,
                      &w->layer);
    feed_forward(b, c, y, x, &t->own);
}

void block_project(const struct block *b, struct layer_call *c, const real *x, real *carry,
                   struct block_tape *t)
{
    on_block(b, c);
    layer_input(b, c, x, carry, &t->own);
    if (b->layer->split->project) b->layer->split->project(c, t->own.v[T_H], &t->layer);
}

void block_mix(const struct block *b, struct layer_call *c, real *carry, struct block_tape *t)
{
    on_block(b, c);
    b->layer->split->mix(c, t->own.v[T_H], layer_carry(c, carry), &t->layer);
}

void block_append(const struct block *b, struct layer_call *c, const struct head_share *s)
{
    on_block(b, c);
    if (b->layer->split->append) b->layer->split->append(c, s);
}

void block_inner(const struct block *b, struct layer_call *c, const struct head_share *s,
                 real *carry, struct block_tape *w)
{
    on_block(b, c);
    b->layer->split->inner(c, s, layer_carry(c, carry), &w->layer);
}

void block_finish(const struct block *b, struct layer_call *c, real *y, const real *x,
                  struct block_tape *t)
{
    on_block(b, c);
    b->layer->split->finish(c, stream2(c->d, y, &t->own), &t->layer);
    feed_forward(b, c, y, x, &t->own);
}

/* --- backward ------------------------------------------------------------- */

/* dx: gradient of y -> of x2. */
static void feed_forward_backward(const struct block *b, struct layer_call *c, real *dx,
                                  struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const struct operand n = operand_of(c, t->v[T_N]), s = operand_of(c, t->v[T_S]);
    const int N = c->B * c->T;
    real *dn = w->v[W_DN];
    bf16 *da = operand_rows(c, w->v[W_DA]), *dg = operand_rows(c, w->v[W_DG]);

    c->first = b->i_layer;
    if (!d->E) return;
    c->first = b->i_ffn;
    linear_backward(c, FFN_DOWN, w->v[W_DS], reals(dx), s, 0);
    if (da) swiglu_backward_rows(da, dg, w->v[W_DS], t->v[T_A], t->v[T_G], N, d->E);
    else swiglu_backward(w->v[W_DA], w->v[W_DG], w->v[W_DS], t->v[T_A], t->v[T_G],
                         (int64_t)N * d->E);
    linear_share(c, n);
    linear_backward(c, FFN_GATE, dn, operand_of(c, w->v[W_DA]), n, 0);
    linear_backward(c, FFN_UP, dn, operand_of(c, w->v[W_DG]), n, 1);
    norm_backward(c, b->i_ffn + FFN_NORM, dx, dn, t->v[T_X2], t->v[T_R3], w->v[W_DW]);
    c->first = b->i_layer;
}

/* The gradient of h, in DN, is added to dx; then the convolution's: DN becomes the gradient of the
 * normalised inputs, without that of the halo they left behind. */
static void layer_input_backward(const struct block *b, struct layer_call *c, real *dx,
                                 const real *x, struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const int C = d->C, W = d->conv_width;
    const int64_t TC = (int64_t)c->T * C, halo = halo_reals(d);
    real *dw = w->v[W_DW], *db = dw + align_reals((int64_t)C * W);

    norm_backward(c, b->i_layer - 1, dx, w->v[W_DN], d->pre_conv ? t->v[T_X1] : x, t->v[T_R2], dw);
    for (int i = 0; d->pre_conv && i < c->B; i++) {
        const int64_t at_w = c->t->p[b->i_conv + CONV_W].offset;
        memset(dw, 0, (size_t)(align_reals((int64_t)C * W) + C) * sizeof *dw);
        conv1d_backward(&(struct conv1d_grad){ .dx = w->v[W_DN] + i * TC,
                                               .dhalo = w->v[W_DHALO] + i * halo,
                                               .dw = dw, .db = db },
                        dx + i * TC,
                        &(struct conv1d){ .T = c->T, .C = C, .W = W, .x = t->v[T_XN] + i * TC,
                                          .halo = t->v[T_HALO] + i * halo, .w = c->w + at_w });
        grad_add(c->grad, at_w, dw, (int64_t)C * W);
        grad_add(c->grad, c->t->p[b->i_conv + CONV_B].offset, db, C);
    }
}

static void conv_halo_backward(const struct layer_call *c, real *dcarry, struct tape *w)
{
    const struct dims *d = c->d;
    const int64_t TC = (int64_t)c->T * d->C, halo = halo_reals(d);

    for (int i = 0; d->pre_conv && i < c->B; i++) {
        real *prev = w->v[W_DHALO] + i * halo, *next = dcarry + i * halo;
        conv1d_halo_backward(w->v[W_DN] + i * TC, prev, next, c->T, d->C, d->conv_width);
        memcpy(next, prev, (size_t)((d->conv_width - 1) * d->C) * sizeof *next);
    }
}

void block_backward(const struct block *b, struct layer_call *c, real *dx, const real *x,
                    real *dcarry, struct block_tape *t, struct block_tape *w)
{
    on_block(b, c);
    feed_forward_backward(b, c, dx, &t->own, &w->own);
    b->layer->backward(c, w->own.v[W_DN], dx, t->own.v[T_H], layer_carry(c, dcarry), &t->layer,
                       &w->layer);
    layer_input_backward(b, c, dx, x, &t->own, &w->own);
    conv_halo_backward(c, dcarry, &w->own);
    block_normalise_backward(b, c, dx, x, t, w);
}

void block_finish_backward(const struct block *b, struct layer_call *c, real *dx,
                           struct block_tape *t, struct block_tape *w)
{
    on_block(b, c);
    feed_forward_backward(b, c, dx, &t->own, &w->own);
    b->layer->split->finish_backward(c, w->own.v[W_DN], dx, t->own.v[T_H], &t->layer, &w->layer);
}

void block_inner_backward(const struct block *b, struct layer_call *c, const struct head_share *s,
                          real *dcarry, struct block_tape *w)
{
    on_block(b, c);
    b->layer->split->inner_backward(c, s, layer_carry(c, dcarry), &w->layer);
}

void block_mix_backward(const struct block *b, struct layer_call *c, struct block_tape *t,
                        struct block_tape *w)
{
    on_block(b, c);
    b->layer->split->mix_backward(c, &t->layer, &w->layer);
}

void block_project_backward(const struct block *b, struct layer_call *c, real *dx, const real *x,
                            struct block_tape *t, struct block_tape *w)
{
    on_block(b, c);
    b->layer->split->project_backward(c, w->own.v[W_DN], t->own.v[T_H], &t->layer, &w->layer);
    layer_input_backward(b, c, dx, x, &t->own, &w->own);
}

void block_normalise_backward(const struct block *b, struct layer_call *c, real *dx,
                              const real *x, struct block_tape *t, struct block_tape *w)
{
    on_block(b, c);
    if (c->d->pre_conv)
        norm_backward(c, b->i_conv + CONV_NORM, dx, w->own.v[W_DN], x, t->own.v[T_R1],
                      w->own.v[W_DW]);
}

/* --- halos in heads mode --------------------------------------------------- */

int block_halo(struct block_halo *h, const struct block *b, int B, int which,
               const struct block_tape *t, const struct block_tape *w)
{
    const struct dims *d = &b->d;
    const struct layer_split *split = b->layer->split;
    const int64_t own = halo_reals(d);
    const int layer_width = split->halo_width ? split->halo_width(d) : d->C;
    const int width = which == HALO_CONV ? d->C : layer_width;

    *h = (struct block_halo){ .width = width, .n = (int64_t)(d->conv_width - 1) * width };
    if (which == HALO_CONV) {
        h->rows = t->own.v[T_XN];
        h->back = w->own.v[W_DHALO];
        h->stride = h->back_stride = own;
        return own > 0;
    }
    if (!split->halo_reals) return 0;
    h->rows = t->layer.v[split->halo];
    h->back = w->layer.v[split->dhalo];
    h->offset = B * own;
    h->stride = b->layer->carry_reals(d);
    h->back_stride = split->halo_reals(d);
    return h->back_stride > 0;
}

void block_halo_backward(const struct block *b, struct layer_call *c, int which, real *dcarry,
                         struct block_tape *w)
{
    on_block(b, c);
    if (which == HALO_CONV) conv_halo_backward(c, dcarry, &w->own);
    else b->layer->split->halo_backward(c, layer_carry(c, dcarry), &w->layer);
}
