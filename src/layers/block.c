/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/block.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/layers/block_own.h"
#include "src/layers/conv.h"
#include "src/layers/linear.h"

/* --- parameters ------------------------------------------------------------ */

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

int block_chunk(const struct block *b) { return b->layer->chunk ? b->layer->chunk(&b->d) : 1; }

/* --- carry ------------------------------------------------------------------ */

static int64_t layer_reals(const struct block *b)
{
    return b->layer->carry_reals ? b->layer->carry_reals(&b->d) : 0;
}

int64_t block_carry_reals(const struct block *b) { return own_halo_reals(&b->d) + layer_reals(b); }

int64_t block_past_row(const struct block *b)
{
    return b->layer->past_reals ? b->layer->past_reals(&b->d) : 0;
}

int64_t block_past_reals(const struct block *b) { return head_groups(&b->d) * block_past_row(b); }

int block_carry_part(const struct block *b, int B, int i, int64_t *offset, int64_t *n)
{
    const struct dims *d = &b->d;
    int64_t at;
    int parts = 0;

    if (d->pre_conv && i < B) {
        *offset = i * own_halo_reals(d);
        *n = (int64_t)(d->conv_width - 1) * d->C;
        return 1;
    }
    if (d->pre_conv) i -= B;
    if (!b->layer->carry_part) return 0;
    while (b->layer->carry_part(d, parts, &at, n)) parts++;
    if (i >= B * parts) return 0;
    b->layer->carry_part(d, i % parts, &at, n);
    *offset = B * own_halo_reals(d) + i / parts * layer_reals(b) + at;
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
        stride[0] = own_halo_reals(d);
        stride[1] = 0;
        return 1;
    }
    if (!b->layer->state || !b->layer->state(d, i, name, shape, &offset, &stride[1])) return 0;
    *v = carry ? carry + B * own_halo_reals(d) + offset : NULL;
    stride[0] = layer_reals(b);
    return 1;
}

void block_carry_start(const struct block *b, struct layer_call *c, real *carry)
{
    c->d = &b->d;
    c->first = b->i_layer;
    memset(carry, 0, (size_t)(c->B * block_carry_reals(b)) * sizeof *carry);
    if (b->layer->carry_start) b->layer->carry_start(c, layer_carry(c, carry));
}

void block_carry_start_backward(const struct block *b, struct layer_call *c, const real *dcarry)
{
    c->d = &b->d;
    c->first = b->i_layer;
    if (b->layer->carry_start_backward)
        b->layer->carry_start_backward(c, dcarry + c->B * own_halo_reals(c->d));
}

void block_map_part(const struct block *b, int B, int64_t *offset, int64_t *n, int64_t *stride)
{
    b->layer->carry_part(&b->d, b->layer->scanned, offset, n);
    *stride = layer_reals(b);
    *offset += B * own_halo_reals(&b->d);
}

/* --- arrays ------------------------------------------------------------------ */

/* The convolution's arrays, norms and feed-forward; their layout is that of the enum. */
static void own_arrays(struct layout *l, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int64_t N = (int64_t)c->B * c->T, NC = N * d->C, NE = N * d->E, conv = d->pre_conv;
    const int64_t ffn = d->E > 0;

    layout_reals(l, LIFE_TAPE, OWN_XN, conv * NC);
    layout_reals(l, LIFE_TAPE, OWN_R1, conv * N);
    layout_reals(l, LIFE_TAPE, OWN_X1, conv * NC);
    layout_reals(l, LIFE_TAPE, OWN_HALO, c->B * own_halo_reals(d));
    layout_reals(l, LIFE_TAPE, OWN_H, NC);
    layout_reals(l, LIFE_TAPE, OWN_R2, N);
    layout_reals(l, LIFE_TAPE, OWN_X2, ffn * NC);
    layout_reals(l, LIFE_TAPE, OWN_R3, ffn * N);
    layout_bytes(l, LIFE_TAPE, OWN_N, ffn * operand_bytes(c, d->C));
    layout_reals(l, LIFE_TAPE, OWN_A, NE);
    layout_reals(l, LIFE_TAPE, OWN_G, NE);
    layout_bytes(l, LIFE_TAPE, OWN_S, ffn * operand_bytes(c, d->E));

    layout_reals(l, LIFE_BACK, OWN_DW, conv_sum_reals(d, d->C));
    layout_bytes(l, LIFE_BACK, OWN_DA, operand_bytes(c, d->E));
    layout_bytes(l, LIFE_BACK, OWN_DG, operand_bytes(c, d->E));
    layout_reals(l, LIFE_BACK, OWN_DS, NE);
    layout_reals(l, LIFE_WAIT, OWN_DN, NC);
    layout_reals(l, LIFE_WAIT, OWN_DHALO, c->B * own_halo_reals(d));
}

void block_lay_out(const struct block *b, struct block_arrays *v, struct arena *a,
                   const struct layer_call *c, int lives)
{
    struct layer_call call = *c;
    struct layout own = { .a = a, .v = v->own, .lives = lives, .room = BLOCK_ARRAYS,
                          .who = "block" };
    struct layout layer = { .a = a, .v = v->layer, .lives = lives, .room = LAYER_ARRAYS,
                            .groups = head_groups(&b->d), .who = b->layer->name };
    call.d = &b->d;
    own_arrays(&own, &call);
    if (b->layer->arrays) b->layer->arrays(&layer, &call);
}

int block_lives_slice(int backward)
{
    return LIFE_TAPE | LIFE_IN | (backward ? LIFE_KEPT : 0);
}

int block_lives_shared(int backward)
{
    return LIFE_SCRATCH | (backward ? LIFE_BACK | LIFE_WAIT : 0);
}

int64_t block_kept_reals(const struct block *b, const struct layer_call *c, int H)
{
    struct layer_call call = *c;
    struct block_arrays v;
    struct arena plan;
    struct layout l = { .a = &plan, .v = v.layer, .lives = LIFE_KEPT, .room = LAYER_ARRAYS,
                        .groups = H, .who = b->layer->name };
    call.d = &b->d;
    arena_plan(&plan);
    if (b->layer->arrays) b->layer->arrays(&l, &call);
    return plan.peak / (int64_t)sizeof(real);
}
