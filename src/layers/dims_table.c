/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/dims_table.h"

#include <string.h>

#include "src/base/status.h"
#include "src/layers/pattern.h"

#define FIELD(field) offsetof(struct dims, field), sizeof ((struct dims *)0)->field
/* NEW_SIZE: added after the first checkpoints were written. */
#define SIZE(field, key_, of_, use_, zero_, ...)                                               \
    { #field, "model." key_, DIM_INT, FIELD(field), 0, of_, use_, 0, zero_, __VA_ARGS__ }
#define NEW_SIZE(field, key_, of_, use_, zero_, ...)                                           \
    { #field, "model." key_, DIM_INT, FIELD(field), 0, of_, use_, 1, zero_, __VA_ARGS__ }
#define NUMBER(field, of_, use_)                                                               \
    { #field, "model." #field, DIM_NUMBER, FIELD(field), 0, of_, use_, 0, 0, 0, 0 }
#define PART(key_, part_, use_)                                                                \
    { NULL, "model." key_, DIM_PART, FIELD(without), part_, OF_INNER, use_, 0, 0, 0, 0 }
#define SCALING(field, key_)                                                                   \
    { #field, "model.rope_scaling." key_, DIM_NUMBER, FIELD(field), 0, OF_LLAMA3, USE_FUNCTION, 1, \
      0, 0, 0 }

static const struct dim rows[] = {
    { "layer", "model.layer", DIM_LAYERS, FIELD(layer), 0, 0, USE_SHAPE, 0, 0, 0, 0 },
    SIZE(V, "vocab", 0, USE_SHAPE, 0, RANGE_V),
    SIZE(L, "layers", 0, USE_SHAPE, 0, RANGE_L),
    SIZE(C, "width", 0, USE_SHAPE, 0, RANGE_C),
    SIZE(H, "heads", OF_HEADS, USE_PER_HEAD, 0, RANGE_H),
    NEW_SIZE(Hkv, "kv_heads", OF_GROUPS, USE_SHAPE, 1, RANGE_H),
    NEW_SIZE(F, "head_dim", OF_ATTENTION, USE_SHAPE, 1, RANGE_F),
    NEW_SIZE(qkv_bias, "qkv_bias", OF_ATTENTION, USE_SHAPE, 1, RANGE_SWITCH),
    NEW_SIZE(window, "sliding_window", OF_ATTENTION, USE_FUNCTION, 1, RANGE_WINDOW),
    NEW_SIZE(full_layers, "full_layers", OF_WINDOW, USE_FUNCTION, 1, RANGE_FULL),
    SIZE(E, "ffn_width", OF_FFN, USE_SHAPE, 1, RANGE_E),
    SIZE(K, "mini_batch", OF_INNER, USE_PER_TOKEN, 0, RANGE_K),
    SIZE(gate, "gate", OF_INNER, USE_SHAPE, 1, RANGE_SWITCH),
    SIZE(share_qk, "share_qk", OF_INNER, USE_SHAPE, 1, RANGE_SWITCH),
    SIZE(pre_conv, "pre_conv", OF_INNER, USE_SHAPE, 1, RANGE_SWITCH),
    SIZE(conv_width, "conv_width", OF_CONV, USE_SHAPE, 0, RANGE_CONV),
    SIZE(tied, "tied", 0, USE_SHAPE, 1, RANGE_SWITCH),
    NUMBER(rope_theta, OF_HEADS, USE_FUNCTION),
    NUMBER(rms_eps, 0, USE_FUNCTION),
    NUMBER(ln_eps, OF_INNER, USE_FUNCTION),
    { NULL, "model.init", DIM_INT, FIELD(orthogonal), 0, 0, USE_OURS, 0, 1, RANGE_SWITCH },
    NUMBER(init_std, 0, USE_START),
    NUMBER(inner_lr, OF_INNER, USE_FUNCTION),
    { "without", NULL, DIM_INT, FIELD(without), 0, OF_INNER, USE_SHAPE, 1, 1, 0, 0 },
    PART("inner_norm", WITHOUT_NORM, USE_SHAPE),
    PART("inner_residual", WITHOUT_RESIDUAL, USE_FUNCTION),
    PART("inner_bias", WITHOUT_BIAS, USE_SHAPE),
    PART("inner_mean", WITHOUT_MEAN, USE_FUNCTION),
    PART("learn_init", WITHOUT_INIT, USE_SHAPE),
    PART("learn_gate", WITHOUT_GATE, USE_SHAPE),
    PART("learn_token_idx", WITHOUT_TOKEN_IDX, USE_SHAPE),
    NEW_SIZE(state, "state", OF_STATE, USE_SHAPE, 1, RANGE_STATE),
    NEW_SIZE(expand, "expand", OF_STATE, USE_SHAPE, 1, RANGE_EXPAND),
    NEW_SIZE(dt_rank, "dt_rank", OF_STATE, USE_SHAPE, 1, RANGE_DT_RANK),
    NEW_SIZE(rope_scaling, "rope_scaling.type", OF_ATTENTION, USE_FUNCTION, 1, 0, 0),
    { "rope_factor", "model.rope_scaling.factor", DIM_NUMBER, FIELD(rope_factor), 0, OF_SCALED,
      USE_FUNCTION, 1, 0, 0, 0 },
    SCALING(rope_low, "low_freq_factor"),
    SCALING(rope_high, "high_freq_factor"),
    NEW_SIZE(rope_original, "rope_scaling.original_context", OF_LLAMA3, USE_FUNCTION, 1,
             RANGE_ORIGINAL),
};
#define ROWS (int)(sizeof rows / sizeof *rows)

const struct dim *dims_row(int i) { return i >= 0 && i < ROWS ? &rows[i] : NULL; }

const struct dim *dims_key(const char *key)
{
    for (int i = 0; i < ROWS; i++)
        if (rows[i].key && !strcmp(rows[i].key, key)) return &rows[i];
    return NULL;
}

int dims_of(const struct dims *d)
{
    struct pattern p;
    int of = 0;

    check(pattern_of(&p, d->layer) == OK);
    if (p.has & HAS_HEADS) of |= OF_HEADS;
    if (p.has & HAS_INNER) of |= OF_INNER;
    if (p.has & HAS_STATE) of |= OF_STATE | OF_CONV;
    if (p.has & HAS_ATTENTION) of |= OF_ATTENTION | OF_GROUPS;
    if (d->rope_scaling != ROPE_DEFAULT) of |= OF_SCALED;
    if (d->rope_scaling == ROPE_LLAMA3) of |= OF_LLAMA3;
    if (d->window) of |= OF_WINDOW;
    if (p.ffn) of |= OF_FFN;
    if (d->pre_conv || d->share_qk) of |= OF_CONV;
    return of;
}
