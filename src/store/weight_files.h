/* SPDX-License-Identifier: Apache-2.0 */
/* weight_files.h -- the tensors of a Hugging Face folder, in one file or in several.
 *
 *     model.safetensors
 *
 *     model-00001-of-00003.safetensors ...   model.safetensors.index.json:
 *     { "metadata": {...}, "weight_map": { "model.norm.weight": "model-00003-of-...", ... } }
 *
 * Of several files, each tensor is in the one that the index names, and no other tensor is there.
 */
#ifndef WEIGHT_FILES_H
#define WEIGHT_FILES_H

#include "src/store/safetensors.h"

struct weight_files;

/* Open all files of a folder and check them; names must have no folder in them.
 * ERR_MISSING, ERR_DATA; *out is NULL then */
int weight_files_open(struct weight_files **out, const char *folder);
void weight_files_close(struct weight_files *w);

/* As of safetensors.h: tensors are numbered through all files. */
int weight_files_count(const struct weight_files *w);
const struct tensor *weight_files_tensor(const struct weight_files *w, int i);
int weight_files_find(const struct weight_files *w, const char *name);  /* or -1 */
int weight_files_read(struct weight_files *w, int i, void *data);
int weight_files_read_real(struct weight_files *w, int i, real *data);

/* Is there a model in a folder? */
int weight_files_exist(const char *folder);

/* Write tensors in the order given, converted to `dtype`: one file, or several of at most `most`
 * bytes of tensors (a larger tensor has a file of its own) and then their index; most 0: one. */
int weight_files_save(const char *folder, const struct tensor *list, int count, enum dtype dtype,
                      int64_t most);

#endif
