/* SPDX-License-Identifier: Apache-2.0 */
/* load.h -- load the model that a user names: a Hugging Face folder, a
 * checkpoint, or a run folder (its newest valid checkpoint).
 *
 * A checkpoint is a model if it holds every parameter under its own name and
 * if its info has what load_describe() put there:
 *
 *     "model":     { "layer": "ttt_linear", "V": 32000, "L": 12, ... }
 *     "context":   1024
 *     "tokenizer": { "kind": "sentencepiece", "path": ..., "hash": ... }
 */
#ifndef LOAD_H
#define LOAD_H

#include <jansson.h>

#include "src/model/model.h"
#include "src/store/ckpt.h"

struct dataset;
struct tokenizer;

/* Where a model came from, for messages and JSON; release with load_done(). */
struct load_info {
    char       *source;        /* path that was read                            */
    const char *kind;          /* "huggingface" or "checkpoint"                  */
    int64_t     step;          /* -1 if not a checkpoint                         */
    struct hash root;          /* of the checkpoint                              */
    char       *tokenizer_kind, *tokenizer_path;  /* NULL if not known            */
    struct hash tokenizer_hash;  /* zero if not known                             */
    int         context;       /* it was trained on; 0 if not known               */
};

/* What a checkpoint must say about its model: sets the keys above in `info`.
 * kind NULL: the tokenizer is not known.  path: its file, NULL for bytes;
 * stored as an absolute path.  context 0: not known. */
void load_describe(json_t *info, const struct dims *d, int context, const char *kind,
                   const char *path, struct hash hash);

/* What store/model_at.h finds, with its weights, all of them finite numbers.
 * returns OK, ERR_MISSING, ERR_DATA, ERR_CONFIG; *info is empty then */
int load_model(struct model **out, struct load_info *info, const char *path);
void load_done(struct load_info *info);

/* The precision of a model's products: NULL or "fp32", or "bf16".  way_back as for
 * model_use_bf16().  returns OK, or ERR_USAGE for any other name */
int load_precision(struct model *m, const char *name, int way_back);

/* The tokenizer of a model: `path` if given ("bytes" or a SentencePiece file), else
 * tokenizer.model of the run or Hugging Face folder, else the file the
 * checkpoint names.
 * returns OK; ERR_MISSING if none is known; ERR_CONFIG if it is not the one the model was
 * trained with, or knows more tokens than the model */
int load_tokenizer(struct tokenizer **out, const struct load_info *info, const struct model *m,
                   const char *path);

/* Was data set d, named `data`, made with the tokenizer of the model?  OK, or ERR_CONFIG and
 * load_tokenizer()'s errors; a warning if the model does not say what its tokenizer is. */
int load_same_tokenizer(const struct load_info *info, const struct model *m,
                        const struct dataset *d, const char *data);

#endif
