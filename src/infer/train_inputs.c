/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/train_inputs.h"

#include <string.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/data/data_index.h"
#include "src/data/token.h"

/* The tokenizer that the data names must be the one that made it. */
static int check_tokenizer(struct train_inputs *in, const struct conf *c)
{
    struct tokenizer *t = NULL;
    int rc = OK;

    in->kind = dataset_tokenizer(in->train, &in->path, &in->tokenizer);
    TRY(tokenizer_open(&t, in->kind, in->path));
    if (!hash_equal(tokenizer_hash(t), in->tokenizer))
        TRY(fail(ERR_CONFIG, "%s is not the tokenizer that made %s",
                 in->path ? in->path : in->kind, c->data.train));
    in->bos = tokenizer_bos(t);
out:
    tokenizer_close(t);
    return rc;
}

static int check_val(const struct train_inputs *in, const struct conf *c)
{
    char a[HASH_HEX], b[HASH_HEX];
    const char *path;
    struct hash hash;
    const char *kind = dataset_tokenizer(in->val, &path, &hash);

    if (hash_equal(hash, in->tokenizer)) return OK;
    hash_hex(a, in->tokenizer);
    hash_hex(b, hash);
    return fail(ERR_CONFIG, "data.train and data.val have different tokenizers: %s (%s %s), "
                "%s (%s %s)", c->data.train, in->kind, a, c->data.val, kind, b);
}

/* INDEX of format 1 does not count them. */
static void warn_of_unk(const struct dataset *d, const char *name)
{
    const int64_t n = dataset_index(d)->unk_tokens;
    if (n > 0)
        log_warn("%s: %lld of %lld tokens are <unk> and hide text that the tokenizer can't represent; "
                 "nothing is learned of it (ttt data info)", name, (long long)n,
                 (long long)dataset_tokens(d));
}

int train_inputs_open(struct train_inputs *in, const struct conf *c)
{
    int rc = OK;

    *in = (struct train_inputs){ 0 };
    TRY(dataset_open(&in->train, c->data.train));
    if (c->data.val[0]) TRY(dataset_open(&in->val, c->data.val));
    if (dataset_vocab(in->train) > c->model.vocab)
        TRY(fail(ERR_CONFIG, "model.vocab is %d, the data's tokenizer has %d (%s)", c->model.vocab,
                 dataset_vocab(in->train), c->data.train));
    TRY(check_tokenizer(in, c));
    if (in->val) TRY(check_val(in, c));
    if (dataset_tokens(in->train) <= c->train.context)
        TRY(fail(ERR_CONFIG, "%s holds %lld tokens; a sample takes train.context + 1 = %d: lower "
                 "train.context, or prepare more data", c->data.train,
                 (long long)dataset_tokens(in->train), c->train.context + 1));
    warn_of_unk(in->train, c->data.train);
    if (in->val) warn_of_unk(in->val, c->data.val);
out:
    if (rc != OK) train_inputs_close(in);
    return rc;
}

static const char *info_text(const struct ckpt *c, const char *object, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(ckpt_info(c), object), key));
    return s ? s : "";
}

int train_inputs_resume(const struct train_inputs *in, const struct conf *c, const struct ckpt *from,
                        int allow)
{
    const char *was = info_text(from, "data", "train"), *tok_was = info_text(from, "tokenizer", "hash");
    char is[HASH_HEX], tok_is[HASH_HEX];

    hash_hex(is, dataset_fingerprint(in->train));
    hash_hex(tok_is, in->tokenizer);
    if (strcmp(tok_was, tok_is) != 0)
        return fail(ERR_CONFIG, "%s was trained with the tokenizer %s, the data's is %s",
                    ckpt_path(from), tok_was, tok_is);
    if (!strcmp(was, is)) return OK;
    if (!allow)
        return fail(ERR_CONFIG, "the training data changed: %s was trained on %s, %s is %s; "
                    "--allow-data-change continues with it", ckpt_path(from), was, c->data.train, is);
    log_warn("other training data from step %lld on: fingerprint %s, was %s",
             (long long)ckpt_step(from), is, was);
    return OK;
}

void train_inputs_close(struct train_inputs *in)
{
    dataset_close(in->train);
    dataset_close(in->val);
    *in = (struct train_inputs){ 0 };
}
