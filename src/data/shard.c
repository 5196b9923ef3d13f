/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/shard.h"

#include <zstd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/shard_format.h"

struct entry { uint64_t at; uint32_t stored, raw; struct hash payload; };

struct shard {
    char             *path;
    int               fd;
    struct shard_spec spec;
    struct shard_sums sums;
    int64_t           blocks;
    struct entry     *index;  /* blocks, then the list of documents */
    ZSTD_DCtx        *zstd;
    unsigned char    *stored, *raw;  /* grow to the largest record read */
    int64_t           stored_room, raw_room;
};

static int damaged(const struct shard *s, const char *what, uint64_t number, uint64_t at,
                   const char *why)
{
    return fail(ERR_DATA, "%s: %s %llu at byte %llu: %s", s->path, what,
                (unsigned long long)number, (unsigned long long)at, why);
}

static int read_at(struct shard *s, void *data, uint64_t n, uint64_t at)
{
    return file_read_at(s->fd, data, (size_t)n, (int64_t)at, s->path);
}

static int read_super(struct shard *s, struct hash *own)
{
    unsigned char p[SUPER_BYTES];
    int rc = read_at(s, p, sizeof p, 0);
    if (rc != OK) return rc;

    s->spec = (struct shard_spec){
        .block_tokens = get_u32(p + 16), .vocab = (int)get_u32(p + 20),
        .stamp = get_u64(p + 24), .tokenizer = hash_load(p + 32),
    };
    *own = hash_load(p + SUPER_BYTES - 16);
    const char *why = NULL;
    if (get_u64(p) != SUPER_MAGIC) why = "not a token shard (magic)";
    else if (!sealed(p, sizeof p)) why = "hash does not match";
    else if (get_u32(p + 8) != SHARD_VERSION) why = "written by another version of the format";
    else if (s->spec.vocab <= 0) why = "vocabulary is empty";
    else if (get_u32(p + 12) != (uint32_t)token_width(s->spec.vocab)) why = "token width is wrong";
    else if (s->spec.block_tokens < 1 || s->spec.block_tokens > SHARD_MAX_BLOCK_TOKENS)
        why = "block size is out of range";
    return why ? damaged(s, "superblock", 0, 0, why) : OK;
}

static int read_footer(struct shard *s, struct footer *f, int64_t size, struct hash super)
{
    unsigned char p[FOOT_BYTES];
    const uint64_t at = (uint64_t)size - FOOT_BYTES;
    int rc = read_at(s, p, sizeof p, at);
    if (rc != OK) return rc;

    *f = get_footer(p);
    const char *why = NULL;
    const uint64_t per = (uint64_t)s->spec.block_tokens;
    if (get_u64(p) != FOOT_MAGIC) why = "no footer here: the file was cut or grew";
    else if (!sealed(p, sizeof p)) why = "hash does not match";
    else if (get_u32(p + 60) != SHARD_VERSION) why = "written by another version of the format";
    else if (f->file_size != (uint64_t)size) why = "the file has another size";
    else if (!hash_equal(f->super, super)) why = "belongs to another superblock";
    else if (f->tokens < 1 || f->tokens > (uint64_t)SHARD_MAX_TOKENS) why = "token count";
    else if (f->documents < 1 || f->documents > (uint64_t)SHARD_MAX_DOCUMENTS ||
             f->documents > f->tokens) why = "document count";
    else if (f->text_bytes > INT64_MAX) why = "text size";
    else if (f->blocks != (f->tokens + per - 1) / per) why = "block count";
    else if (f->blocks >= at / HEAD_BYTES) why = "more blocks than the file can hold";
    else if (f->documents_at < SUPER_BYTES || f->index_at < f->documents_at + HEAD_BYTES ||
             f->index_at > at - HEAD_BYTES || f->documents_at > at) why = "offsets";
    if (why) return damaged(s, "footer", 0, at, why);
    s->sums = (struct shard_sums){
        .size = size, .tokens = (int64_t)f->tokens, .documents = (int64_t)f->documents,
        .text_bytes = (int64_t)f->text_bytes, .footer = hash_load(p + FOOT_BYTES - 16),
    };
    s->blocks = f->blocks;
    return OK;
}

/* Read, check and decompress the record that must be at `at` and must look like
 * `want` (payload and own hash apart); its content is then in s->raw. */
static int read_record(struct shard *s, uint64_t at, const struct shard_record *want,
                       const char *what, struct shard_record *got)
{
    const uint64_t n = (uint64_t)HEAD_BYTES + want->stored, number = want->number;
    int rc = OK;

    check(want->raw <= MAX_RAW && n <= (uint64_t)s->sums.size);
    if ((int64_t)n > s->stored_room) {
        mem_free(s->stored);
        s->stored = mem_new(s->stored_room = (int64_t)n, 1, "stored shard record");
    }
    if ((int64_t)want->raw > s->raw_room) {
        mem_free(s->raw);
        s->raw = mem_new(s->raw_room = (int64_t)want->raw, 1, "shard record");
    }
    TRY(read_at(s, s->stored, n, at));
    const unsigned char *frame = s->stored + HEAD_BYTES;
    *got = get_record(s->stored);
    if (!sealed(s->stored, HEAD_BYTES))
        TRY(damaged(s, what, number, at, "header hash does not match"));
    if (got->kind != want->kind || got->number != want->number || got->raw != want->raw ||
        got->stored != want->stored || got->first_token != want->first_token ||
        got->stamp != s->spec.stamp)
        TRY(damaged(s, what, number, at, "header belongs to another place"));
    if (!hash_equal(hash_bytes(frame, want->stored), got->payload))
        TRY(damaged(s, what, number, at + HEAD_BYTES, "hash of the content does not match"));
    if (ZSTD_getFrameContentSize(frame, want->stored) != want->raw ||
        ZSTD_findFrameCompressedSize(frame, want->stored) != want->stored ||
        ZSTD_getDictID_fromFrame(frame, want->stored) != 0)
        TRY(damaged(s, what, number, at + HEAD_BYTES, "not one zstd frame of the right size"));
    const size_t raw = ZSTD_decompressDCtx(s->zstd, s->raw, want->raw, frame, want->stored);
    if (raw != want->raw)
        TRY(damaged(s, what, number, at + HEAD_BYTES,
                    ZSTD_isError(raw) ? ZSTD_getErrorName(raw) : "decompressed to less"));
out:
    return rc;
}

/* What block b must hold, in bytes. */
static uint32_t block_raw(const struct shard *s, int64_t b)
{
    const int64_t left = s->sums.tokens - b * s->spec.block_tokens;
    const int64_t n = left < s->spec.block_tokens ? left : s->spec.block_tokens;
    return (uint32_t)(n * token_width(s->spec.vocab));
}

static int read_index(struct shard *s, const struct footer *f)
{
    const uint64_t end = (uint64_t)s->sums.size - FOOT_BYTES;
    const uint64_t stored = end - f->index_at - HEAD_BYTES;
    const uint64_t raw = (uint64_t)(s->blocks + 1) * ENTRY_BYTES;
    struct shard_record got;
    uint64_t at = SUPER_BYTES;
    int rc = OK;

    if (stored > MAX_RAW || raw > MAX_RAW) return damaged(s, "index", 0, f->index_at, "too large");
    TRY(read_record(s, f->index_at,
                    &(struct shard_record){ .kind = RECORD_INDEX, .raw = (uint32_t)raw,
                                      .stored = (uint32_t)stored, .first_token = f->tokens },
                    "index", &got));
    if (!hash_equal(got.own, f->index))
        TRY(damaged(s, "index", 0, f->index_at, "not the one that the footer names"));

    s->index = mem_new(s->blocks + 1, sizeof *s->index, "shard index");
    for (int64_t b = 0; b <= s->blocks; b++) {
        const unsigned char *p = s->raw + b * ENTRY_BYTES;
        struct entry *e = s->index + b;
        *e = (struct entry){ get_u64(p), get_u32(p + 8), get_u32(p + 12), hash_load(p + 16) };
        const char *why = NULL;
        if (e->at != at) why = "a hole or an overlap before it";
        else if (e->stored > MAX_RAW || (uint64_t)e->stored + HEAD_BYTES > f->index_at - at)
            why = "reaches into the index";
        else if (b < s->blocks && e->raw != block_raw(s, b)) why = "content has a wrong size";
        else if (b == s->blocks && (e->at != f->documents_at || (int64_t)e->raw < s->sums.documents
                                    || (int64_t)e->raw > 10 * s->sums.documents))
            why = "list of documents is misplaced or has a wrong size";
        if (why) TRY(damaged(s, "index entry", (uint64_t)b, f->index_at, why));
        at += HEAD_BYTES + (uint64_t)e->stored;
    }
    if (at != f->index_at) TRY(damaged(s, "index", 0, f->index_at, "a hole before it"));
out:
    return rc;
}

int shard_open(struct shard **out, const char *path)
{
    struct shard *s = mem_new(1, sizeof *s, "shard");
    struct hash super;
    struct footer foot;
    int64_t size = 0;
    int rc = OK;

    *s = (struct shard){ .path = mem_string(path), .fd = -1 };
    TRY(file_open(&s->fd, &size, path));
    if (size < SUPER_BYTES + 3 * HEAD_BYTES + FOOT_BYTES)
        TRY(fail(ERR_DATA, "%s: %lld bytes are too few for a token shard", path, (long long)size));
    s->zstd = ZSTD_createDCtx();
    if (!s->zstd) TRY(fail(ERR_MEMORY, "out of memory: zstd context"));
    TRY(read_super(s, &super));
    TRY(read_footer(s, &foot, size, super));
    TRY(read_index(s, &foot));
out:
    if (rc != OK) {
        shard_close(s);
        s = NULL;
    }
    *out = s;
    return rc;
}

void shard_close(struct shard *s)
{
    if (!s) return;
    file_close(s->fd);
    ZSTD_freeDCtx(s->zstd);
    mem_free(s->index);
    mem_free(s->stored);
    mem_free(s->raw);
    mem_free(s->path);
    mem_free(s);
}

const struct shard_spec *shard_spec(const struct shard *s) { return &s->spec; }
const struct shard_sums *shard_sums(const struct shard *s) { return &s->sums; }
int64_t shard_blocks(const struct shard *s) { return s->blocks; }

int shard_read(struct shard *s, int32_t *out, int64_t *n, int64_t b)
{
    check(b >= 0 && b < s->blocks);
    const struct entry *e = s->index + b;
    const int width = token_width(s->spec.vocab);
    struct shard_record got;
    int rc = OK;

    *n = 0;
    TRY(read_record(s, e->at,
                    &(struct shard_record){ .kind = RECORD_BLOCK, .number = (uint32_t)b,
                                            .raw = e->raw,
                                      .stored = e->stored,
                                      .first_token = (uint64_t)(b * s->spec.block_tokens) },
                    "block", &got));
    if (!hash_equal(got.payload, e->payload))
        TRY(damaged(s, "block", (uint64_t)b, e->at, "not the one that the index names"));
    const int64_t count = e->raw / width;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t id = width == 2 ? get_u16(s->raw + 2 * i) : get_u32(s->raw + 4 * i);
        if (id >= (uint32_t)s->spec.vocab)
            TRY(fail(ERR_DATA,
                     "%s: block %lld at byte %llu: token %lld has id %u, vocabulary is %d", s->path,
                     (long long)b, (unsigned long long)e->at, (long long)i, id, s->spec.vocab));
        out[i] = (int32_t)id;
    }
    *n = count;
out:
    return rc;
}

int shard_documents(struct shard *s, int64_t **lengths)
{
    const struct entry *e = s->index + s->blocks;
    int64_t *list = NULL, sum = 0;
    const char *why = NULL;
    struct shard_record got;
    int rc = OK;

    TRY(read_record(s, e->at,
                    &(struct shard_record){ .kind = RECORD_DOCUMENTS, .raw = e->raw,
                                      .stored = e->stored,
                                      .first_token = (uint64_t)s->sums.tokens },
                    "document list", &got));
    if (!hash_equal(got.payload, e->payload))
        TRY(damaged(s, "document list", 0, e->at, "not the one that the index names"));

    list = mem_new(s->sums.documents, sizeof *list, "document lengths");
    const unsigned char *p = s->raw, *end = p + e->raw;
    for (int64_t d = 0; d < s->sums.documents && !why; d++) {
        uint64_t length = 0;
        int shift = 0, more = 1;
        for (; more && p < end && shift < 42; shift += 7) {
            length |= (uint64_t)(*p & 0x7f) << shift;
            more = *p++ & 0x80;
        }
        if (more || length == 0 || length > (uint64_t)(s->sums.tokens - sum))
            why = "lengths do not fit the tokens";
        list[d] = (int64_t)length;
        sum += (int64_t)length;
    }
    if (!why && (p != end || sum != s->sums.tokens)) why = "lengths do not add up to the tokens";
    if (why) TRY(damaged(s, "document list", 0, e->at, why));
out:
    if (rc != OK) {
        mem_free(list);
        list = NULL;
    }
    *lengths = list;
    return rc;
}
