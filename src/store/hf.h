/* SPDX-License-Identifier: Apache-2.0 */
/* hf.h -- Hugging Face folders: config.json and model.safetensors, or several files of weights.
 *
 * Parameter names of param.h are those of the public implementations, so no
 * renaming happens: a folder is read tensor by tensor, in either direction
 * without changing a bit of a float32 model.
 */
#ifndef HF_H
#define HF_H

#include <jansson.h>

#include "src/layers/dims.h"
#include "src/param/param.h"
#include "src/store/tensor.h"

/* config.json of `folder` -> dims, for the families that store/hf_config.c has.  Keys that are
 * absent have the defaults of the class that model_type names (golden/README.md, traps); wrong types
 * and values are all named, ERR_DATA. */
int hf_read_config(struct dims *d, const char *folder);

/* The whole of config.json, for what dims do not say (token ids, longest context); the
 * caller's reference.  ERR_MISSING, ERR_DATA. */
int hf_read_json(json_t **config, const char *folder);

/* The weights of `folder` -> w, laid out by t; w NULL: only checked.  Missing, unknown and wrongly
 * shaped tensors are all named; ERR_DATA.  Types of fewer bits become reals exactly. */
int hf_read_weights(real *w, const struct param_table *t, const char *folder);

/* Ids of special tokens, -1: there is none. */
struct hf_ids { int bos, eos, pad; };

/* Write both into `folder` (made if needed; must not hold a model yet).
 * base: config.json of the model this one came from, or NULL: keys that dims do
 * not say are kept.  context: tokens it was trained on, 0: not known. */
int hf_write(const char *folder, const struct dims *d, const struct param_table *t,
             const real *w, const json_t *base, int context);

/* How the weights are stored. */
struct hf_form {
    enum dtype           dtype;
    int64_t              most;  /* bytes of a file; 0: all in one                       */
    const struct hf_ids *ids;   /* NULL: those of base, or null if there is no base     */
};

/* hf_write() in another form. */
int hf_write_as(const char *folder, const struct dims *d, const struct param_table *t,
                const real *w, const json_t *base, int context, const struct hf_form *form);

/* generation_config.json, so that generate() of the public code ends where ours does. */
int hf_write_generation(const char *folder, const struct hf_ids *ids);

/* An object as a file of a folder; numbers with as few digits as bring every one back. */
int hf_write_json(const char *folder, const char *name, const json_t *object);

#endif
