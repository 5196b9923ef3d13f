/* SPDX-License-Identifier: Apache-2.0 */
/* hf_config.h -- config.json of a Hugging Face folder and the dims of a model, by rows: one table
 * of keys for each model_type.  A new one is a table and a row of `kinds` in hf_config.c, and the
 * names of its tensors, if they are new, in layers/family.c. */
#ifndef HF_CONFIG_H
#define HF_CONFIG_H

#include <jansson.h>

#include "src/layers/dims.h"

/* config -> dims; path: for messages.  Everything that is wrong is named; ERR_DATA */
int hf_config_read(struct dims *d, const json_t *config, const char *path);

/* Keys of a config that this program does not know, so that they have no effect: "a, b", or "" if
 * there are none.  Keys whose value is null, false or empty are left out.  Returns text. */
#define HF_UNKNOWN 256
const char *hf_config_unknown(char text[HF_UNKNOWN], const json_t *config);

/* As save_pretrained of the public code writes it: `base` with everything that dims say on top; if
 * base is NULL, or a model of another kind than dims are now, on top of the usual values of their
 * kind.  context: max_position_embeddings where base has none, 0: not known.  The caller's
 * reference. */
json_t *hf_config_make(const struct dims *d, const json_t *base, int context);

/* Can a public config.json describe these dims?  OK or ERR_CONFIG, reported. */
int hf_config_can_write(const struct dims *d);

#endif
