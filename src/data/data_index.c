/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/data_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

static const char *const left_names[LEFT_KINDS] = {
    [LEFT_HIDDEN] = "hidden", [LEFT_FORMAT] = "other_format", [LEFT_LINK] = "broken_link",
    [LEFT_SPECIAL] = "not_a_file", [LEFT_AGAIN] = "read_already",
    [LEFT_UNREADABLE] = "no_permission",
};

const char *data_left_name(enum data_left why) { return left_names[why]; }

static void put_hash(FILE *f, const char *before, struct hash h)
{
    char text[HASH_HEX];
    hash_hex(text, h);
    fprintf(f, "%s%s", before, text);
}

static void put_origin(FILE *f, const struct data_index *x)
{
    put_hash(f, "\noptions: ", x->options);
    fprintf(f, "\ninputs: {files: %lld, bytes: %lld", (long long)x->read.files,
            (long long)x->read.bytes);
    put_hash(f, ", hash: ", x->inputs);
    fprintf(f, "}\nleft_out:");
    for (int i = 0; i < LEFT_KINDS; i++)
        fprintf(f, "\n  %s: {files: %lld, bytes: %lld}", left_names[i],
                (long long)x->left[i].files, (long long)x->left[i].bytes);
    fprintf(f, "\nskipped: {documents: %lld, files: %lld, bytes: %lld, read_bytes: %lld}",
            (long long)x->skipped.documents, (long long)x->skipped.files,
            (long long)x->skipped.bytes, (long long)x->skipped.read_bytes);
}

int data_index_write(const struct data_index *x, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (!f) return fail(ERR_MEMORY, "out of memory: %s", path);
    fprintf(f, "# ttt data set\nformat: %d\ntokenizer: %s\ntokenizer_file: %s", INDEX_FORMAT,
            x->kind, x->tokenizer_file[0] ? x->tokenizer_file : "~");
    put_hash(f, "\ntokenizer_hash: ", x->tokenizer);
    fprintf(f, "\nvocab: %d\nbos: %d\neos: %d\nunk: ", x->vocab, x->bos, x->eos);
    if (x->unk < 0) fprintf(f, "~");
    else fprintf(f, "%d", x->unk);
    fprintf(f, "\ntokens: %lld\ndocuments: %lld\ntext_bytes: %lld\nunk_tokens: %lld\n"
            "unk_bytes: %lld", (long long)x->tokens, (long long)x->documents,
            (long long)x->text_bytes, (long long)x->unk_tokens, (long long)x->unk_bytes);
    put_hash(f, "\ncontent: ", x->content);
    put_origin(f, x);
    if (x->part)
        fprintf(f, "\nnext_file: %lld\nnext_offset: %lld\nnext_line: %lld",
                (long long)x->next.file, (long long)x->next.offset, (long long)x->next.line);
    fprintf(f, "\nshards:\n");
    for (int i = 0; i < x->shard_count; i++) {
        const struct shard_sums *s = &x->shards[i].sums;
        fprintf(f, "  - {name: %s, size: %lld, tokens: %lld, documents: %lld, text_bytes: %lld",
                x->shards[i].name, (long long)s->size, (long long)s->tokens,
                (long long)s->documents, (long long)s->text_bytes);
        put_hash(f, ", footer: ", s->footer);
        fprintf(f, "}\n");
    }
    fflush(f);
    put_hash(f, "hash: ", hash_bytes(text, n));
    fprintf(f, "\n");
    int rc = fclose(f) == 0 ? OK : fail(ERR_MEMORY, "out of memory: %s", path);
    if (rc == OK) rc = file_replace(path, text, n);
    free(text);
    return rc;
}

void data_index_add(struct data_index *x, const char *file, const struct shard_sums *sums)
{
    const int n = x->shard_count;
    check(n < INDEX_MAX_SHARDS && strlen(file) < sizeof x->shards->name);
    if ((n & (n - 1)) == 0)  /* full whenever n is a power of two */
        x->shards = mem_resize(x->shards, n ? 2 * n : 1, sizeof *x->shards, "list of shards");
    x->shards[n] = (struct data_shard){ .sums = *sums };
    memcpy(x->shards[n].name, file, strlen(file) + 1);
    x->shard_count = n + 1;
    x->tokens += sums->tokens;
    x->documents += sums->documents;
    x->text_bytes += sums->text_bytes;
}

void data_index_done(struct data_index *x)
{
    mem_free(x->shards);
    x->shards = NULL;
    x->shard_count = 0;
}

struct hash content_add(struct hash content, struct hash document)
{
    unsigned char p[32];
    hash_store(p, content);
    hash_store(p + 16, document);
    return hash_bytes(p, sizeof p);
}

void content_tokens(struct hasher *h, const int32_t *ids, int64_t n)
{
    unsigned char p[4096];
    while (n > 0) {
        const int64_t k = n < 1024 ? n : 1024;
        for (int64_t i = 0; i < k; i++) put_u32(p + 4 * i, (uint32_t)ids[i]);
        hasher_add(h, p, (size_t)(4 * k));
        ids += k;
        n -= k;
    }
}

struct hash data_index_fingerprint(const struct data_index *x)
{
    return content_add(x->content, x->tokenizer);
}
