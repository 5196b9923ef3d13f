/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/dataset.h"

#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/data_index.h"
#include "src/data/shard.h"
#include "src/data/spm_model.h"
#include "src/data/token.h"

#define OPEN_SHARDS 32              /* a data set may have more shards than a process files */
#define CACHE_BYTES ((int64_t)64 << 20)
#define CACHE_MAX 32

struct open_shard { struct shard *shard; int number; uint64_t used; };

/* A decoded block. */
struct cached { int shard; int64_t block, n; int32_t *ids; uint64_t used; };

struct dataset {
    char             *dir, *model_path;  /* model_path NULL for bytes           */
    struct data_index index;
    int64_t          *start;             /* (shard_count + 1) first tokens      */
    struct open_shard       open[OPEN_SHARDS];
    struct cached     cache[CACHE_MAX];
    int               cache_n;
    int64_t           block_tokens;      /* the most of any shard               */
    uint64_t          clock;             /* of the caches: least recently used goes */
};

/* What the shard's own checks can't know: that it is the one INDEX means. */
static int check_shard(const struct dataset *d, int i, const struct shard *s)
{
    const struct data_shard *want = d->index.shards + i;
    const struct shard_sums *sums = shard_sums(s);
    const char *why = NULL;

    if (sums->size != want->sums.size) why = "size";
    else if (!hash_equal(sums->footer, want->sums.footer)) why = "hash of the footer";
    else if (sums->tokens != want->sums.tokens) why = "token count";
    else if (sums->documents != want->sums.documents) why = "document count";
    else if (sums->text_bytes != want->sums.text_bytes) why = "size of the source text";
    else if (shard_spec(s)->vocab != d->index.vocab) why = "vocabulary";
    else if (!hash_equal(shard_spec(s)->tokenizer, d->index.tokenizer)) why = "tokenizer";
    if (!why) return OK;
    return fail(ERR_DATA, "%s/%s: its %s is not what INDEX says", d->dir, want->name, why);
}

/* Shard i, open and checked; it stays open until OPEN_SHARDS others were used. */
static int use_shard(struct dataset *d, struct shard **out, int i)
{
    struct open_shard *slot = d->open;
    int rc = OK;

    for (struct open_shard *s = d->open; s < d->open + OPEN_SHARDS; s++) {
        if (s->shard && s->number == i) {
            s->used = ++d->clock;
            *out = s->shard;
            return OK;
        }
        if (s->used < slot->used) slot = s;
    }
    shard_close(slot->shard);
    *slot = (struct open_shard){ .number = i };
    char *path = mem_format("%s/%s", d->dir, d->index.shards[i].name);
    TRY(shard_open(&slot->shard, path));
    TRY(check_shard(d, i, slot->shard));
    slot->used = ++d->clock;
    *out = slot->shard;
out:
    if (rc != OK) {
        shard_close(slot->shard);
        slot->shard = NULL;
    }
    mem_free(path);
    return rc;
}

/* dir and the path of INDEX from what the user named. */
static int find_index(struct dataset *d, char **index_path, const char *path)
{
    if (path_is_dir(path)) {
        d->dir = mem_string(path);
        *index_path = mem_format("%s/INDEX", path);
    } else {
        const char *slash = strrchr(path, '/');
        d->dir = slash ? mem_format("%.*s", (int)(slash - path), path) : mem_string(".");
        *index_path = mem_string(path);
    }
    if (path_exists(*index_path)) return OK;

    char *part = mem_format("%s/INDEX.part", d->dir), *train = mem_format("%s/train/INDEX", path);
    int rc;
    if (!path_exists(d->dir) || !path_exists(path))
        rc = fail(ERR_MISSING, "%s: no such data set", path);
    else if (path_exists(part))
        rc = fail(ERR_MISSING, "%s: unfinished: start the same ttt prep again (or ttt data import)",
                  d->dir);
    else if (path_exists(train))
        rc = fail(ERR_MISSING, "%s: holds no INDEX, but %s/train does", path, path);
    else
        rc = fail(ERR_MISSING, "%s: no such file, so this is not a data set", *index_path);
    mem_free(part);
    mem_free(train);
    return rc;
}

static int check_model(struct dataset *d)
{
    struct spm_model m = { 0 };
    char *model = NULL;
    size_t n = 0;
    int rc = OK;

    if (!d->index.tokenizer_file[0]) return OK;
    d->model_path = mem_format("%s/%s", d->dir, d->index.tokenizer_file);
    TRY(file_slurp(&model, &n, d->model_path, TOKENIZER_MAX_BYTES));
    if (!hash_equal(hash_bytes(model, n), d->index.tokenizer))
        TRY(fail(ERR_DATA, "%s: damaged: its hash is not what INDEX says", d->model_path));
    if (d->index.format == 1) {  /* its INDEX doesn't say */
        TRY(spm_model_read(&m, model, n, d->model_path));
        d->index.unk = m.unk;
    }
out:
    spm_model_done(&m);
    mem_free(model);
    return rc;
}

int dataset_open(struct dataset **out, const char *path)
{
    struct dataset *d = mem_new(1, sizeof *d, "data set");
    struct shard *s = NULL;
    char *index_path = NULL;
    int rc = OK;

    TRY(find_index(d, &index_path, path));
    TRY(data_index_read(&d->index, index_path, 0));
    if (d->index.tokens < 1) TRY(fail(ERR_DATA, "%s: lists no tokens", index_path));
    TRY(check_model(d));
    d->start = mem_new(d->index.shard_count + 1, sizeof *d->start, "shard starts");
    for (int i = 0; i < d->index.shard_count; i++) {
        d->start[i + 1] = d->start[i] + d->index.shards[i].sums.tokens;
        TRY(use_shard(d, &s, i));
        const int64_t n = shard_spec(s)->block_tokens, tokens = shard_sums(s)->tokens;
        const int64_t most = n < tokens ? n : tokens;
        if (most > d->block_tokens) d->block_tokens = most;
    }
    d->cache_n = (int)(CACHE_BYTES / (d->block_tokens * (int64_t)sizeof(int32_t)));
    if (d->cache_n > CACHE_MAX) d->cache_n = CACHE_MAX;
    if (d->cache_n < 2) d->cache_n = 2;
out:
    mem_free(index_path);
    if (rc != OK) {
        dataset_close(d);
        d = NULL;
    }
    *out = d;
    return rc;
}

void dataset_close(struct dataset *d)
{
    if (!d) return;
    for (int i = 0; i < OPEN_SHARDS; i++) shard_close(d->open[i].shard);
    for (int i = 0; i < CACHE_MAX; i++) mem_free(d->cache[i].ids);
    data_index_done(&d->index);
    mem_free(d->start);
    mem_free(d->dir);
    mem_free(d->model_path);
    mem_free(d);
}

int64_t dataset_tokens(const struct dataset *d) { return d->index.tokens; }
int64_t dataset_documents(const struct dataset *d) { return d->index.documents; }
int64_t dataset_text_bytes(const struct dataset *d) { return d->index.text_bytes; }
int dataset_vocab(const struct dataset *d) { return d->index.vocab; }
int dataset_unk(const struct dataset *d) { return d->index.unk; }
const struct data_index *dataset_index(const struct dataset *d) { return &d->index; }

struct hash dataset_fingerprint(const struct dataset *d)
{
    return data_index_fingerprint(&d->index);
}

const char *dataset_tokenizer(const struct dataset *d, const char **model_path, struct hash *hash)
{
    if (model_path) *model_path = d->model_path;
    if (hash) *hash = d->index.tokenizer;
    return d->index.kind;
}

/* The block of shard i that holds its token `at`, decoded. */
static int use_block(struct dataset *d, const struct cached **out, int i, int64_t at)
{
    struct shard *s = NULL;
    struct cached *c = d->cache;
    int rc = OK;

    TRY(use_shard(d, &s, i));
    const int64_t b = at / shard_spec(s)->block_tokens;
    for (int k = 0; k < d->cache_n; k++) {
        struct cached *e = d->cache + k;
        if (e->n && e->shard == i && e->block == b) {
            e->used = ++d->clock;
            *out = e;
            return OK;
        }
        if (e->used < c->used) c = e;
    }
    if (!c->ids) c->ids = mem_new(d->block_tokens, sizeof *c->ids, "decoded block");
    c->n = 0;
    c->used = 0;
    TRY(shard_read(s, c->ids, &c->n, b));
    *c = (struct cached){ i, b, c->n, c->ids, ++d->clock };
    *out = c;
out:
    return rc;
}

/* The shard that holds token t: the last one that starts at or before it. */
static int find_shard(const struct dataset *d, int64_t t)
{
    int low = 0, high = d->index.shard_count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (d->start[middle] <= t) low = middle;
        else high = middle - 1;
    }
    return low;
}

int dataset_read(struct dataset *d, int32_t *out, int64_t first, int64_t n)
{
    int rc = OK;

    check(first >= 0 && n >= 0 && first <= d->index.tokens - n);
    while (n > 0) {
        const int i = find_shard(d, first);
        const struct cached *c = NULL;
        TRY(use_block(d, &c, i, first - d->start[i]));
        struct shard *s = NULL;
        TRY(use_shard(d, &s, i));
        const int64_t at = first - d->start[i] - c->block * shard_spec(s)->block_tokens;
        check(at >= 0 && at < c->n);
        const int64_t k = c->n - at < n ? c->n - at : n;
        memcpy(out, c->ids + at, (size_t)k * sizeof *out);
        out += k;
        first += k;
        n -= k;
    }
out:
    return rc;
}

int dataset_document(struct dataset *d, int64_t number, int64_t *first, int64_t *n)
{
    struct shard *s = NULL;
    int64_t *lengths = NULL;
    int i = 0, rc = OK;

    check(number >= 0 && number < d->index.documents);
    for (; number >= d->index.shards[i].sums.documents; i++)
        number -= d->index.shards[i].sums.documents;
    TRY(use_shard(d, &s, i));
    TRY(shard_documents(s, &lengths));
    *first = d->start[i];
    for (int64_t k = 0; k < number; k++) *first += lengths[k];
    *n = lengths[number];
out:
    mem_free(lengths);
    return rc;
}

int dataset_lengths(struct dataset *d, int64_t **lengths, int i)
{
    struct shard *s = NULL;
    const int rc = use_shard(d, &s, i);

    *lengths = NULL;
    return rc == OK ? shard_documents(s, lengths) : rc;
}

/* One shard, document by document.  After damage the remaining blocks are still
 * read, because the user wants to know all that is wrong. */
static int verify_shard(struct dataset *d, int i, struct hash *content)
{
    struct shard *s = NULL;
    struct hasher *h = hasher_new();
    int64_t *lengths = NULL, document = 0, left = 0, n = 0;
    int32_t *ids = NULL;
    int rc = OK;

    TRY(use_shard(d, &s, i));
    rc = shard_documents(s, &lengths);
    ids = mem_new(shard_spec(s)->block_tokens, sizeof *ids, "decoded block");
    if (rc == OK) left = lengths[0];
    for (int64_t b = 0; b < shard_blocks(s); b++) {
        const int one = shard_read(s, ids, &n, b);
        if (one != OK) rc = one;
        for (int64_t at = 0; at < n && rc == OK;) {
            const int64_t k = left < n - at ? left : n - at;
            content_tokens(h, ids + at, k);
            at += k;
            left -= k;
            if (left > 0) continue;
            *content = content_add(*content, hasher_get(h));
            hasher_free(h);
            h = hasher_new();
            if (++document < shard_sums(s)->documents) left = lengths[document];
        }
    }
out:
    hasher_free(h);
    mem_free(ids);
    mem_free(lengths);
    return rc;
}

int dataset_verify(struct dataset *d, void (*progress)(int64_t tokens, void *arg), void *arg)
{
    struct hash content = { 0, 0 };
    int rc = OK;

    for (int i = 0; i < d->index.shard_count; i++) {
        const int one = verify_shard(d, i, &content);
        if (one != OK) rc = one;
        if (progress) progress(d->start[i + 1], arg);
    }
    if (rc == OK && !hash_equal(content, d->index.content))
        rc = fail(ERR_DATA, "%s: the tokens of all shards are not those that INDEX was made for",
                  d->dir);
    return rc;
}
