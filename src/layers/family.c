/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/family.h"

#include <stdio.h>

#define FEED_FORWARD                                                              \
    .gate = "mlp.gate_proj.weight", .up = "mlp.up_proj.weight", .down = "mlp.down_proj.weight"

const struct family family_ttt = {
    .embed = "model.embed_tokens.weight", .block = "model.layers.",
    .seq_norm = "seq_norm.weight", .ffn_norm = "ffn_norm.weight", FEED_FORWARD,
    .norm = "model.norm.weight", .head = "lm_head.weight", .rms_eps = 1e-6,
};

const struct family family_llama = {
    .embed = "model.embed_tokens.weight", .block = "model.layers.",
    .seq_norm = "input_layernorm.weight", .ffn_norm = "post_attention_layernorm.weight",
    FEED_FORWARD, .norm = "model.norm.weight", .head = "lm_head.weight", .rms_eps = 1e-6,
};

const struct family family_mamba = {
    .embed = "backbone.embeddings.weight", .block = "backbone.layers.",
    .seq_norm = "norm.weight", .norm = "backbone.norm_f.weight", .head = "lm_head.weight",
    .rms_eps = 1e-5,
};

const struct family family_mixture = {
    .embed = "model.embed_tokens.weight", .block = "model.layers.",
    .norm = "model.norm.weight", .head = "lm_head.weight", .rms_eps = 1e-6,
};

const char *family_block(const struct family *f, char *text, int l)
{
    snprintf(text, FAMILY_PREFIX, "%s%d.", f->block, l);
    return text;
}
