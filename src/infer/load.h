/* load.h -- a model from whatever the user names: a Hugging Face folder, a
 * checkpoint, or a run folder (its newest valid checkpoint).
 */
#ifndef LOAD_H
#define LOAD_H

#include "src/model/model.h"
#include "src/store/ckpt.h"

/* Where a model came from, for messages and JSON; release with load_done(). */
struct load_info {
    char       *source;        /* path that was read                            */
    const char *kind;          /* "huggingface" or "checkpoint"                  */
    int64_t     step;          /* -1 if not a checkpoint                         */
    struct hash root;          /* of the checkpoint                              */
    char       *tokenizer_kind, *tokenizer_path;  /* NULL if not known            */
    int         context;       /* it was trained on; 0 if not known               */
};

int load_model(struct model **out, struct load_info *info, const char *path);
void load_done(struct load_info *info);

#endif
