/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/shard.h"

struct set {
    char                *dir;
    struct data_index    index;    /* of the finished shards        */
    struct hash          content;  /* with the open shard           */
    struct set_cut       cut;
    struct shard_writer *shard;    /* NULL between shards           */
    struct hasher       *document; /* of the open document's tokens */
    struct data_skipped  skipped;  /* up to the open document         */
    int64_t              text_bytes, unk_tokens, unk_bytes;  /* of the open shard */
};

static char *in_dir(const char *dir, const char *name) { return mem_format("%s/%s", dir, name); }

static void shard_name(char name[32], int number) { snprintf(name, 32, "shard-%06d.tts", number); }

static int has(const char *dir, const char *name)
{
    char *path = in_dir(dir, name);
    const int yes = path_exists(path);
    mem_free(path);
    return yes;
}

enum set_state set_look(const char *dir)
{
    if (has(dir, "INDEX.part") && !has(dir, "INDEX")) return SET_PART;
    return has(dir, "INDEX") ? SET_COMPLETE : SET_NONE;
}

/* Remove a file that may be missing. */
static int drop(const char *dir, const char *name)
{
    char *path = in_dir(dir, name);
    int rc = OK;
    if (unlink(path) != 0 && errno != ENOENT)
        rc = fail(ERR_IO, "%s: can't remove: %s", path, strerror(errno));
    file_sweep(path);
    mem_free(path);
    return rc;
}

/* Remove shards from number `first` on. */
static int drop_shards(const char *dir, int first)
{
    char name[32];
    int rc = OK;
    for (int i = first; rc == OK; i++) {
        shard_name(name, i);
        if (!has(dir, name)) break;
        rc = drop(dir, name);
    }
    return rc;
}

int set_remove(const char *dir)
{
    int rc = OK;
    if (!path_is_dir(dir)) return OK;
    if (path_is_link(dir) && set_look(dir) != SET_NONE)
        return fail(ERR_CONFIG, "%s: is a symbolic link, and nothing is removed through one: name "
                    "the folder that it leads to, or remove the link", dir);
    TRY(drop(dir, "INDEX"));  /* first: without it there is no data set */
    TRY(drop(dir, "INDEX.part"));
    TRY(drop_shards(dir, 0));
    TRY(drop(dir, SET_MODEL));
out:
    return rc;
}

static int write_part(struct set *s)
{
    char *path = in_dir(s->dir, "INDEX.part");
    s->index.part = 1;
    const int rc = data_index_write(&s->index, path);
    mem_free(path);
    return rc;
}

static int begin(struct set *s, const struct tokenizer *t, const char *model, size_t model_n,
                 const struct data_index *from)
{
    char *path = in_dir(s->dir, SET_MODEL);
    int rc = OK;

    if (has(s->dir, "shard-000000.tts"))
        TRY(fail(ERR_CONFIG, "%s: holds shard-000000.tts but no INDEX, so this ttt prep did not begin "
                 "it; choose another folder, or use --restart to replace it", s->dir));
    s->index = *from;
    s->index.tokenizer = tokenizer_hash(t);
    s->index.vocab = tokenizer_vocab(t);
    s->index.bos = tokenizer_bos(t);
    s->index.eos = tokenizer_eos(t);
    s->index.unk = tokenizer_unk(t);
    snprintf(s->index.kind, sizeof s->index.kind, "%s", tokenizer_kind(t));
    if (model) {
        snprintf(s->index.tokenizer_file, sizeof s->index.tokenizer_file, "%s", SET_MODEL);
        TRY(file_replace(path, model, model_n));
    }
    TRY(write_part(s));
out:
    mem_free(path);
    return rc;
}

static int go_on(struct set *s, const struct data_index *from)
{
    char *path = in_dir(s->dir, "INDEX.part");
    int rc = OK;

    TRY(data_index_read(&s->index, path, 1));
    memcpy(s->index.left, from->left, sizeof from->left);
    s->skipped = s->index.skipped;
    s->content = s->index.content;
    TRY(drop(s->dir, "INDEX"));
    TRY(drop_shards(s->dir, s->index.shard_count));
out:
    mem_free(path);
    return rc;
}

/* Remove what a ttt prep was writing here when it was killed. */
static void sweep(const char *dir)
{
    static const char *const names[] = { "INDEX", "INDEX.part", SET_MODEL };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = in_dir(dir, names[i]);
        file_sweep(path);
        mem_free(path);
    }
}

int set_open(struct set **out, const char *dir, const struct tokenizer *t, const char *model,
             size_t model_n, const struct data_index *from, struct set_cut cut)
{
    struct set *s = mem_new(1, sizeof *s, "data set");
    int rc = OK;

    *s = (struct set){ .dir = mem_string(dir), .cut = cut, .skipped = from->skipped };
    TRY(dir_make(dir));
    sweep(dir);
    TRY(has(dir, "INDEX.part") ? go_on(s, from) : begin(s, t, model, model_n, from));
out:
    if (rc != OK) {
        set_close(s);
        s = NULL;
    }
    *out = s;
    return rc;
}

struct data_place set_next(const struct set *s) { return s->index.next; }
void set_skip(struct set *s, struct data_skipped skipped) { s->skipped = skipped; }
struct data_skipped set_skipped(const struct set *s) { return s->skipped; }

/* The stamp of the records of one shard: it depends on what is in the set before it. */
static uint64_t stamp(const struct set *s)
{
    unsigned char number[16] = { 0 };
    put_u64(number, (uint64_t)s->index.shard_count);
    return content_add(content_add(s->content, s->index.tokenizer), hash_load(number)).lo;
}

static int open_shard(struct set *s)
{
    char name[32];
    const struct shard_spec spec = {
        .vocab = s->index.vocab, .block_tokens = s->cut.block_tokens, .stamp = stamp(s),
        .tokenizer = s->index.tokenizer,
    };
    if (s->index.shard_count == INDEX_MAX_SHARDS)
        return fail(ERR_CONFIG, "%s: more than %d shards: raise --shard-tokens", s->dir,
                    INDEX_MAX_SHARDS);
    shard_name(name, s->index.shard_count);
    char *path = in_dir(s->dir, name);
    const int rc = shard_create(&s->shard, path, &spec, s->cut.level);
    mem_free(path);
    return rc;
}

static int close_shard(struct set *s)
{
    struct shard_sums sums;
    struct shard_writer *w = s->shard;
    char name[32];

    s->shard = NULL;
    const int rc = shard_finish(w, &sums);
    if (rc != OK) return rc;
    shard_name(name, s->index.shard_count);
    data_index_add(&s->index, name, &sums);
    s->index.content = s->content;
    s->index.unk_tokens += s->unk_tokens;
    s->index.unk_bytes += s->unk_bytes;
    s->text_bytes = s->unk_tokens = s->unk_bytes = 0;
    return OK;
}

int set_add(struct set *s, const int32_t *ids, int64_t n)
{
    content_tokens(s->document, ids, n);
    return shard_add(s->shard, ids, n);
}

int set_begin_ids(struct set *s)
{
    int rc = OK;

    if (!s->shard) TRY(open_shard(s));
    s->document = hasher_new();
out:
    return rc;
}

int set_begin_document(struct set *s)
{
    const int32_t bos = s->index.bos;
    const int rc = set_begin_ids(s);

    return rc == OK ? set_add(s, &bos, 1) : rc;
}

int set_end_document(struct set *s, int64_t text_bytes, struct data_place next)
{
    const int32_t eos = s->index.eos;
    const int rc = set_add(s, &eos, 1);

    return rc == OK ? set_end_ids(s, text_bytes, next) : rc;
}

int set_end_ids(struct set *s, int64_t text_bytes, struct data_place next)
{
    int rc = OK;

    s->content = content_add(s->content, hasher_get(s->document));
    hasher_free(s->document);
    s->document = NULL;
    s->text_bytes += text_bytes;
    shard_end_document(s->shard, text_bytes);
    if (shard_written(s->shard) < s->cut.shard_tokens &&
        shard_written(s->shard) < SHARD_MAX_BLOCKS / 2 * s->cut.block_tokens &&
        shard_written_documents(s->shard) < SHARD_MAX_DOCUMENTS)
        return OK;
    TRY(close_shard(s));
    s->index.next = next;
    s->index.skipped = s->skipped;
    TRY(write_part(s));
out:
    return rc;
}

void set_hidden(struct set *s, int64_t tokens, int64_t bytes)
{
    s->unk_tokens += tokens;
    s->unk_bytes += bytes;
}

int64_t set_hidden_tokens(const struct set *s) { return s->index.unk_tokens + s->unk_tokens; }
int64_t set_hidden_bytes(const struct set *s) { return s->index.unk_bytes + s->unk_bytes; }
int64_t set_text_bytes(const struct set *s) { return s->index.text_bytes + s->text_bytes; }

int64_t set_tokens(const struct set *s)
{
    return s->index.tokens + (s->shard ? shard_written(s->shard) : 0);
}

int64_t set_documents(const struct set *s)
{
    return s->index.documents + (s->shard ? shard_written_documents(s->shard) : 0);
}

const char *set_dir(const struct set *s) { return s->dir; }

int set_finish(struct set *s)
{
    char *path = in_dir(s->dir, "INDEX");
    int rc = OK;

    if (s->shard) TRY(close_shard(s));
    s->index.part = 0;
    s->index.skipped = s->skipped;
    TRY(data_index_write(&s->index, path));
out:
    mem_free(path);
    return rc;
}

int set_settle(const char *dir) { return drop(dir, "INDEX.part"); }

void set_close(struct set *s)
{
    if (!s) return;
    shard_abandon(s->shard);
    hasher_free(s->document);
    data_index_done(&s->index);
    mem_free(s->dir);
    mem_free(s);
}
