/* SPDX-License-Identifier: Apache-2.0 */
/* Part of `ttt bench store`: tokens a second out of shards, in the order of training. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/data/order.h"
#include "src/data/token.h"

#define BLOCK_TOKENS 65536
#define SHARD_TOKENS ((int64_t)8 << 20)
#define SHARD "shard-%06d.tts"

/* Token i: ids have frequencies that fall as 1 / rank, as words do. */
static int32_t token(uint64_t key, int64_t i, int vocab)
{
    return (int32_t)(exp(rng_uniform(key, (uint64_t)i) * log(vocab)) - 1) % vocab;
}

static uint64_t token_key(void) { return rng_key(1, "tokens of a data set"); }

/* Tokens [first, first + n) as one document of one shard. */
static int make_shard(struct data_index *x, const char *dir, int64_t first, int64_t n)
{
    const struct shard_spec spec = { .vocab = x->vocab, .block_tokens = BLOCK_TOKENS,
                                     .stamp = (uint64_t)x->shard_count, .tokenizer = x->tokenizer };
    int32_t *ids = mem_new(n, sizeof *ids, "tokens");
    struct hasher *h = hasher_new();
    struct shard_writer *w = NULL;
    struct shard_sums sums;
    char name[32], *path;
    int rc;

    snprintf(name, sizeof name, SHARD, x->shard_count);
    path = mem_format("%s/%s", dir, name);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) ids[i] = token(token_key(), first + i, x->vocab);
    content_tokens(h, ids, n);
    TRY(shard_create(&w, path, &spec, 3));
    TRY(shard_add(w, ids, n));
    shard_end_document(w, n);
    rc = shard_finish(w, &sums);
    w = NULL;
    if (rc == OK) data_index_add(x, name, &sums);
    x->content = content_add(x->content, hasher_get(h));
out:
    shard_abandon(w);
    hasher_free(h);
    mem_free(ids);
    mem_free(path);
    return rc;
}

int bench_data_make(const char *dir, int vocab, int64_t tokens)
{
    struct data_index x = { .kind = "bytes", .vocab = vocab, .bos = 0, .eos = 1, .unk = -1,
                            .tokenizer = hash_bytes("made up", 7) };
    char *path = mem_format("%s/INDEX", dir);
    int rc;

    TRY(dir_make(dir));
    for (int64_t at = 0; at < tokens && rc == OK; at += SHARD_TOKENS)
        rc = make_shard(&x, dir, at, tokens - at < SHARD_TOKENS ? tokens - at : SHARD_TOKENS);
    if (rc == OK) rc = data_index_write(&x, path);
out:
    data_index_done(&x);
    mem_free(path);
    return rc;
}

/* Read all bytes of all shards plainly, after the system was told to forget them; bytes. */
static int read_plain(int64_t *bytes, const char *dir, int shards, int only_forget)
{
    enum { ROOM = 1 << 20 };
    char *buffer = mem_new(ROOM, 1, "file");
    int rc = OK;

    *bytes = 0;
    for (int i = 0; i < shards && rc == OK; i++) {
        char name[32];
        int64_t size = 0;
        int fd = -1;
        snprintf(name, sizeof name, SHARD, i);
        char *path = mem_format("%s/%s", dir, name);
        rc = file_open(&fd, &size, path);
        if (rc == OK && only_forget) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        if (!only_forget)
            for (int64_t at = 0, n; rc == OK && at < size; at += n) {
                n = size - at < ROOM ? size - at : ROOM;
                rc = file_read_at(fd, buffer, (size_t)n, at, path);
            }
        if (rc == OK) *bytes += size;
        if (fd >= 0) file_close(fd);
        mem_free(path);
    }
    mem_free(buffer);
    return rc;
}

/* Every sample of an epoch, in its order; compare: with what was written. */
static int read_epoch(const char *dir, int context, int compare)
{
    int32_t *window = mem_new(context + 1, sizeof *window, "window");
    struct dataset *d = NULL;
    int rc;

    TRY(dataset_open(&d, dir));
    const int64_t n = (dataset_tokens(d) - 1) / context;
    for (int64_t k = 0; k < n; k++) {
        const int64_t first = order_sample(1, 0, k, n) * context;
        TRY(dataset_read(d, window, first, context + 1));
        for (int i = 0; compare && i <= context; i++)
            if (window[i] != token(token_key(), first + i, dataset_vocab(d)))
                TRY(fail(ERR_DATA, "token %lld was read as %d", (long long)(first + i), window[i]));
    }
out:
    dataset_close(d);
    mem_free(window);
    return rc;
}

int bench_data_read(struct bench_reading *r, const char *dir, int context, int repeat)
{
    double *s = mem_new(2 * (int64_t)repeat, sizeof *s, "times"), *plain = s + repeat;
    struct dataset *d = NULL;
    int64_t bytes;
    int rc;

    TRY(dataset_open(&d, dir));
    TRY(dataset_verify(d, NULL, NULL));
    TRY(read_epoch(dir, context, 1));
    const int shards = dataset_index(d)->shard_count;
    for (int i = 0; i < repeat; i++) {
        TRY(read_plain(&bytes, dir, shards, 1));
        double start = clock_s();
        TRY(read_epoch(dir, context, 0));
        s[i] = clock_s() - start;
        TRY(read_plain(&bytes, dir, shards, 1));
        start = clock_s();
        TRY(read_plain(&bytes, dir, shards, 0));
        plain[i] = clock_s() - start;
    }
    const double tokens = (double)((dataset_tokens(d) - 1) / context) * context;
    r->tokens = tokens;
    r->tok_per_s = tokens / bench_median(s, repeat);
    r->file_tok_per_s = (double)dataset_tokens(d) / bench_median(plain, repeat);
    r->bytes = (double)bytes;
out:
    dataset_close(d);
    mem_free(s);
    return rc;
}
