/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/shard.h"
#include "src/data/shard_format.h"

struct shard_writer {
    char             *path;
    int               fd;
    struct shard_spec spec;
    struct footer     foot;
    ZSTD_CCtx        *zstd;
    int64_t           at;        /* bytes written so far                       */
    unsigned char    *block;     /* tokens of the open block, as on disk       */
    int64_t           held;      /* tokens in it                               */
    int64_t           begun;     /* tokens before the open document            */
    unsigned char    *documents; /* LEB128 lengths                             */
    int64_t           documents_n, documents_room;
    unsigned char    *index;     /* entries                                    */
    int64_t           index_n, index_room;
    unsigned char    *record;    /* header and frame of the record in the works */
    int64_t           record_room;
};

int shard_create(struct shard_writer **out, const char *path, const struct shard_spec *spec,
                 int level)
{
    struct shard_writer *w = mem_new(1, sizeof *w, "shard writer");
    unsigned char super[SUPER_BYTES];
    int rc = OK;

    check(spec->block_tokens > 0 && spec->block_tokens <= SHARD_MAX_BLOCK_TOKENS);
    check(spec->vocab > 0);
    *w = (struct shard_writer){ .path = mem_string(path), .fd = -1, .spec = *spec };
    TRY(file_create(&w->fd, path));
    w->block = mem_new(spec->block_tokens, (size_t)token_width(spec->vocab), "shard block");
    w->zstd = ZSTD_createCCtx();
    if (!w->zstd) TRY(fail(ERR_MEMORY, "out of memory: zstd context"));
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    w->foot.super = put_super(super, spec);
    TRY(file_write(w->fd, super, sizeof super, path));
    w->at = sizeof super;
out:
    if (rc != OK) {
        shard_abandon(w);
        w = NULL;
    }
    *out = w;
    return rc;
}

/* Room for n more bytes after the first `used` of a block that grows. */
static void reserve(unsigned char **p, int64_t *room, int64_t used, int64_t n)
{
    if (used + n <= *room) return;
    *room = 2 * *room + n + 4096;
    *p = mem_resize(*p, *room, 1, "shard writer");
}

/* Compress, seal and write one record. */
static int put(struct shard_writer *w, struct shard_record r, const void *raw, struct hash *own)
{
    const size_t bound = ZSTD_compressBound(r.raw);

    reserve(&w->record, &w->record_room, 0, (int64_t)(HEAD_BYTES + bound));
    const size_t stored = ZSTD_compress2(w->zstd, w->record + HEAD_BYTES, bound, raw, r.raw);
    if (ZSTD_isError(stored))
        return fail(ERR_MEMORY, "%s: zstd: %s", w->path, ZSTD_getErrorName(stored));
    check(stored <= UINT32_MAX);
    r.stored = (uint32_t)stored;
    r.stamp = w->spec.stamp;
    r.payload = hash_bytes(w->record + HEAD_BYTES, stored);
    *own = put_record(w->record, &r);

    if (r.kind != RECORD_INDEX) {
        reserve(&w->index, &w->index_room, w->index_n, ENTRY_BYTES);
        unsigned char *entry = w->index + w->index_n;
        put_u64(entry, (uint64_t)w->at);
        put_u32(entry + 8, r.stored);
        put_u32(entry + 12, r.raw);
        hash_store(entry + 16, r.payload);
        w->index_n += ENTRY_BYTES;
    }
    const int rc = file_write(w->fd, w->record, HEAD_BYTES + stored, w->path);
    w->at += (int64_t)(HEAD_BYTES + stored);
    return rc;
}

static int put_block(struct shard_writer *w)
{
    struct hash own;
    const struct shard_record r = {
        .kind = RECORD_BLOCK, .number = w->foot.blocks,
        .raw = (uint32_t)(w->held * token_width(w->spec.vocab)),
        .first_token = w->foot.tokens - (uint64_t)w->held,
    };
    w->foot.blocks++;
    w->held = 0;
    return put(w, r, w->block, &own);
}

int shard_add(struct shard_writer *w, const int32_t *ids, int64_t n)
{
    const int wide = token_width(w->spec.vocab) == 4;
    const int64_t blocks = SHARD_MAX_BLOCKS * w->spec.block_tokens;
    const int64_t most = blocks < SHARD_MAX_TOKENS ? blocks : SHARD_MAX_TOKENS;
    int rc = OK;

    check(n >= 0);
    if (n > most - (int64_t)w->foot.tokens)
        return fail(ERR_CONFIG, "%s: a document goes beyond %lld tokens, which is what a shard with "
                    "blocks of %lld holds; larger blocks or smaller shards hold it", w->path,
                    (long long)most, (long long)w->spec.block_tokens);
    for (int64_t i = 0; i < n; i++) {
        check(ids[i] >= 0 && ids[i] < w->spec.vocab);
        if (wide) put_u32(w->block + 4 * w->held, (uint32_t)ids[i]);
        else put_u16(w->block + 2 * w->held, (uint16_t)ids[i]);
        w->held++;
        w->foot.tokens++;
        if (w->held == w->spec.block_tokens) TRY(put_block(w));
    }
out:
    return rc;
}

void shard_end_document(struct shard_writer *w, int64_t text_bytes)
{
    uint64_t n = w->foot.tokens - (uint64_t)w->begun;

    check(n > 0 && w->foot.documents < (uint64_t)SHARD_MAX_DOCUMENTS);
    reserve(&w->documents, &w->documents_room, w->documents_n, 10);
    for (; n >= 0x80; n >>= 7) w->documents[w->documents_n++] = (unsigned char)(n | 0x80);
    w->documents[w->documents_n++] = (unsigned char)n;
    w->begun = (int64_t)w->foot.tokens;
    w->foot.documents++;
    w->foot.text_bytes += (uint64_t)text_bytes;
}

int64_t shard_written(const struct shard_writer *w) { return (int64_t)w->foot.tokens; }

int64_t shard_written_documents(const struct shard_writer *w)
{
    return (int64_t)w->foot.documents;
}

static void writer_free(struct shard_writer *w)
{
    ZSTD_freeCCtx(w->zstd);
    mem_free(w->block);
    mem_free(w->documents);
    mem_free(w->index);
    mem_free(w->record);
    mem_free(w->path);
    mem_free(w);
}

int shard_finish(struct shard_writer *w, struct shard_sums *sums)
{
    unsigned char foot[FOOT_BYTES];
    struct hash own;
    int rc = OK;

    check(w->foot.tokens > 0 && w->begun == (int64_t)w->foot.tokens);
    if (w->held) TRY(put_block(w));
    w->foot.documents_at = (uint64_t)w->at;
    TRY(put(w, (struct shard_record){ .kind = RECORD_DOCUMENTS, .raw = (uint32_t)w->documents_n,
                                .first_token = w->foot.tokens }, w->documents, &own));
    w->foot.index_at = (uint64_t)w->at;
    TRY(put(w, (struct shard_record){ .kind = RECORD_INDEX, .raw = (uint32_t)w->index_n,
                                .first_token = w->foot.tokens }, w->index, &w->foot.index));
    w->foot.file_size = (uint64_t)w->at + FOOT_BYTES;
    *sums = (struct shard_sums){
        .size = (int64_t)w->foot.file_size, .tokens = (int64_t)w->foot.tokens,
        .documents = (int64_t)w->foot.documents, .text_bytes = (int64_t)w->foot.text_bytes,
        .footer = put_footer(foot, &w->foot),
    };
    TRY(file_write(w->fd, foot, sizeof foot, w->path));
out:
    {
        const int closed = file_sync_close(w->fd, w->path);
        w->fd = -1;
        if (rc == OK) rc = closed;
    }
    if (rc == OK) writer_free(w);
    else shard_abandon(w);
    return rc;
}

void shard_abandon(struct shard_writer *w)
{
    if (!w) return;
    file_close(w->fd);
    if (w->zstd) unlink(w->path);
    writer_free(w);
}
