/* SPDX-License-Identifier: Apache-2.0 */
/* hf_llama.h -- config.json of a Llama, and of the models that differ from it in what dims have:
 * what rows of keys (hf_config.c) can't say.
 *
 *   llama     no bias, no window
 *   mistral   no bias; perhaps a window, in all layers
 *   qwen2     a bias on q, k, v; perhaps a window, in layers from max_window_layers on
 *
 * What changes the function and is not supported is refused by name; nothing is ignored.  Sources:
 * transformers 4.57.6, configuration_{llama,mistral,qwen2}.py and modeling_rope_utils.py. */
#ifndef HF_LLAMA_H
#define HF_LLAMA_H

#include <jansson.h>

#include "src/layers/dims.h"

/* config -> d, after the rows of keys were read.  path: for messages.  ERR_DATA: all that is wrong
 * was reported. */
int hf_llama_read(struct dims *d, const json_t *config, const char *path);
int hf_mistral_read(struct dims *d, const json_t *config, const char *path);
int hf_qwen2_read(struct dims *d, const json_t *config, const char *path);

/* d -> config, which has its rows of keys. */
void hf_llama_make(json_t *config, const struct dims *d);
void hf_mistral_make(json_t *config, const struct dims *d);
void hf_qwen2_make(json_t *config, const struct dims *d);

/* Is it a key that the functions above read, or refuse for some of its values? */
int hf_llama_knows(const char *key);

/* Is a model of these dims of that kind? */
int hf_llama_fits(const struct dims *d);
int hf_mistral_fits(const struct dims *d);
int hf_qwen2_fits(const struct dims *d);

#endif
