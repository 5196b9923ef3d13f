/* SPDX-License-Identifier: Apache-2.0 */
/* attention_layer.h -- causal self-attention with rotary positions: the sequence layer of the
 * Transformer, as Hugging Face's Llama has it.
 *
 *   q = Wq h + bq, k = Wk h + bk, v = Wv h + bv;  q, k <- RoPE at the token's position  [E60, E63]
 *   o_t = sum over u <= t of softmax_u(q_t . k_u / sqrt(F)) v_u, head by head   [E61]
 *   y = Wo o
 *
 * Biases are there with model.qkv_bias; weight decay leaves them alone.
 *
 * Heads come in model.kv_heads groups; the heads of a group have the same keys and values.
 *
 * There is no carry; the past of a token and group is its key, transposed, and its value (2 F reals).
 * The backward of a slice adds to their gradients for all tokens it saw, and sends those of its own
 * tokens on to Wk and Wv.
 *
 * Source: transformers 4.57.6, modeling_llama.py (whose numbers tests/golden/llama has).
 */
#ifndef ATTENTION_LAYER_H
#define ATTENTION_LAYER_H

#include "src/layers/layer.h"

extern const struct layer layer_attention;

#endif
