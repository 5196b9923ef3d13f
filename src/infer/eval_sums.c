/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/eval_sums.h"

#include <math.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/dataset.h"
#include "src/data/token.h"

#define DECODE_TOKENS 65536

int eval_targets(int64_t *n, const struct model *m, const struct dataset *d,
                 const struct eval_opts *o)
{
    const int64_t all = dataset_tokens(d) - 1;

    *n = o->max_tokens > 0 && o->max_tokens < all ? o->max_tokens : all;
    if (dataset_vocab(d) > m->dims.V)
        return fail(ERR_CONFIG, "the data set has token ids below %d, the model knows %d",
                    dataset_vocab(d), m->dims.V);
    if (o->context < 1)
        return fail(ERR_CONFIG, "the context must be at least 1 token, found %lld",
                    (long long)o->context);
    if (model_check_window(&m->dims, *n < o->context ? *n : o->context) != OK) return ERR_CONFIG;
    if (*n < 1)
        return fail(ERR_CONFIG, "the data set has nothing to predict: %lld tokens",
                    (long long)(all + 1));
    return OK;
}

/* Where things lie in v. */
enum { ALL, UNK = ALL + 2, BUCKETS, EACH_BUCKET = 3, LAYERS = BUCKETS + EVAL_BUCKETS * EACH_BUCKET,
       EACH_LAYER = 7 };

void eval_sums_init(struct eval_sums *s, const struct dataset *d, int64_t n, int64_t context,
                    int L)
{
    *s = (struct eval_sums){ .longest = n < context ? n : context, .unk = dataset_unk(d),
                             .bad = INT64_MAX, .L = L,
                             .count = LAYERS + (int64_t)L * EACH_LAYER };
    s->v = mem_new(s->count, sizeof *s->v, "sums of an evaluation");
}

void eval_sums_done(struct eval_sums *s)
{
    mem_free(s->v);
    *s = (struct eval_sums){ 0 };
}

static void add(int64_t *v, double x)
{
    struct fixed f = { v[0], v[1] };
    fixed_add(&f, x);
    v[0] = f.hi;
    v[1] = f.lo;
}

static double value(const int64_t *v) { return fixed_value((struct fixed){ v[0], v[1] }); }

static int log2_floor(int64_t n)
{
    int k = 0;
    while (n >>= 1) k++;
    return k;
}

/* Bucket of position p >= 1; the context itself belongs to the bucket before
 * it, or a context that is a power of two would end in a bucket of one. */
static int bucket_of(int64_t p, int64_t longest)
{
    return log2_floor(p < longest || p == 1 ? p : longest - 1);
}

void eval_sums_nll(struct eval_sums *s, int64_t token, int64_t position, const double *nll,
                   const int32_t *target, int n)
{
    for (int t = 0; t < n; t++) {
        if (target[t] < 0) continue;
        s->v[UNK] += target[t] == s->unk;
        if (!(fabs(nll[t]) < 0x1p42)) {
            if (token + t < s->bad) s->bad = token + t;
            continue;
        }
        int64_t *bucket = s->v + BUCKETS + EACH_BUCKET * bucket_of(position + t, s->longest);
        add(s->v + ALL, nll[t]);
        add(bucket, nll[t]);
        bucket[2]++;
    }
}

void eval_sums_inner(struct eval_sums *s, int l, int n, const double *w0, const double *before,
                     const double *after)
{
    int64_t *layer = s->v + LAYERS + EACH_LAYER * l;
    for (int k = 0; k < n; k++) {
        const double v[3] = { w0[k], before[k], after[k] };
        for (int i = 0; i < 3; i++)
            if (fabs(v[i]) < 0x1p42) add(layer + 2 * i, v[i]);
    }
    layer[6] += n;
}

int eval_sums_check(const struct eval_sums *s)
{
    if (s->bad == INT64_MAX) return OK;
    return fail(ERR_DIVERGED, "the loss of token %lld of the data set is not finite",
                (long long)s->bad);
}

static int length_of(int64_t *bytes, const struct tokenizer *t, const int32_t *ids, int64_t n)
{
    char *text;
    const int rc = tokenizer_decode_more(t, ids, n, &text, bytes);
    if (rc == OK) mem_free(text);
    return rc;
}

/* Bytes that tokens [1, n] decode to; 0 without the tokenizer's file.  Whether a token begins a
 * text depends on the one before it, so every part is decoded after that one. */
static int decoded_bytes(int64_t *bytes, struct dataset *d, int64_t n)
{
    struct tokenizer *t = NULL;
    struct hash hash;
    const char *path, *kind = dataset_tokenizer(d, &path, &hash);
    int32_t *ids = NULL;
    int rc = OK;

    *bytes = 0;
    if (path && !path_exists(path)) return OK;
    TRY(tokenizer_open(&t, kind, path));
    if (!tokenizer_has_text(t)) goto out;
    ids = mem_new(DECODE_TOKENS, sizeof *ids, "tokens to decode");
    for (int64_t i = 0; i < n; i += DECODE_TOKENS - 1) {
        const int64_t count = n - i < DECODE_TOKENS - 1 ? n - i : DECODE_TOKENS - 1;
        int64_t before, all;
        TRY(dataset_read(d, ids, i, count + 1));
        TRY(length_of(&before, t, ids, 1));
        TRY(length_of(&all, t, ids, count + 1));
        *bytes += all - before;
    }
out:
    mem_free(ids);
    tokenizer_close(t);
    return rc;
}

int eval_bytes(int64_t *bytes, struct dataset *d, int64_t n)
{
    if (n < dataset_tokens(d) - 1) return decoded_bytes(bytes, d, n);
    *bytes = dataset_text_bytes(d);
    return OK;
}

int eval_finish(struct eval_result *r, const struct eval_sums *s, int64_t n,
                const struct eval_opts *o)
{
    const double nats = value(s->v + ALL);

    r->windows = (n + s->longest - 1) / s->longest;
    r->n_buckets = bucket_of(s->longest, s->longest) + 1;
    for (int k = 0; k < r->n_buckets; k++) {
        const int64_t *bucket = s->v + BUCKETS + EACH_BUCKET * k, count = bucket[2];
        r->bucket[k] = (struct eval_bucket){
            .first = (int64_t)1 << k,
            .last = k + 1 < r->n_buckets ? ((int64_t)2 << k) - 1 : s->longest,
            .tokens = count, .nats = count ? value(bucket) / (double)count : NAN
        };
        r->tokens += count;
    }
    r->nats = nats / (double)r->tokens;
    r->ppl = exp(r->nats);
    r->unk_tokens = s->v[UNK];
    r->bits_per_byte = r->bytes && !r->unk_tokens ? nats / log(2.0) / (double)r->bytes : NAN;
    for (int l = 0; l < s->L; l++) {
        const int64_t *layer = s->v + LAYERS + EACH_LAYER * l;
        const double k = (double)layer[6];
        o->inner[l] = (struct eval_inner){ value(layer) / k, value(layer + 2) / k,
                                           value(layer + 4) / k };
    }
    return r->tokens ? OK : fail(ERR_CONFIG, "no token was scored: all of them are masked");
}
