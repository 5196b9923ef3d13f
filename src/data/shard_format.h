/* SPDX-License-Identifier: Apache-2.0 */
/* shard_format.h -- the byte layout of *.tts, shared by shard.c (reader) and
 * shard_write.c (writer) and by nobody else. */
#ifndef SHARD_FORMAT_H
#define SHARD_FORMAT_H

#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/data/shard.h"

#define SHARD_VERSION 1u
#define SUPER_BYTES 64
#define HEAD_BYTES 64
#define ENTRY_BYTES 32
#define FOOT_BYTES 112
#define MAX_RAW ((uint32_t)1 << 30)  /* of any record; a block is 64 MiB at most */
_Static_assert((SHARD_MAX_BLOCKS + 1) * ENTRY_BYTES <= MAX_RAW, "an index is a record");
_Static_assert(SHARD_MAX_DOCUMENTS * 10 <= MAX_RAW, "a list of documents is a record");
_Static_assert(SHARD_MAX_BLOCK_TOKENS * 4 <= MAX_RAW, "a block is a record");

#define SUPER_MAGIC 0x4452414853545454ULL  /* "TTTSHARD" */
#define FOOT_MAGIC  0x544f4f4653545454ULL  /* "TTTSFOOT" */

enum record_kind {
    RECORD_BLOCK = 0x4b4c4254,      /* "TBLK" */
    RECORD_DOCUMENTS = 0x434f4454,  /* "TDOC" */
    RECORD_INDEX = 0x58444954       /* "TIDX" */
};

/* In front of every record. */
struct shard_record {
    uint32_t    kind, number, raw, stored;  /* sizes in bytes                   */
    uint64_t    first_token, stamp;
    struct hash payload;                    /* of the stored bytes              */
    struct hash own;                        /* of the 48 bytes before it        */
};

/* The last FOOT_BYTES of the file. */
struct footer {
    uint64_t    file_size, documents_at, index_at, tokens, documents, text_bytes;
    uint32_t    blocks;
    struct hash super, index;  /* own hashes of superblock and index header */
};

/* Bytes of one token on disk. */
static inline int token_width(int vocab) { return vocab <= 65536 ? 2 : 4; }

/* The last 16 bytes of a structure of n bytes are the hash of those before. */
static inline struct hash seal(unsigned char *p, int n)
{
    const struct hash h = hash_bytes(p, (size_t)n - 16);
    hash_store(p + n - 16, h);
    return h;
}

static inline int sealed(const unsigned char *p, int n)
{
    return hash_equal(hash_bytes(p, (size_t)n - 16), hash_load(p + n - 16));
}

static inline struct hash put_record(unsigned char *p, const struct shard_record *r)
{
    put_u32(p, r->kind);
    put_u32(p + 4, r->number);
    put_u32(p + 8, r->raw);
    put_u32(p + 12, r->stored);
    put_u64(p + 16, r->first_token);
    put_u64(p + 24, r->stamp);
    hash_store(p + 32, r->payload);
    return seal(p, HEAD_BYTES);
}

static inline struct shard_record get_record(const unsigned char *p)
{
    return (struct shard_record){
        .kind = get_u32(p), .number = get_u32(p + 4), .raw = get_u32(p + 8),
        .stored = get_u32(p + 12), .first_token = get_u64(p + 16), .stamp = get_u64(p + 24),
        .payload = hash_load(p + 32), .own = hash_load(p + 48),
    };
}

static inline struct hash put_super(unsigned char *p, const struct shard_spec *s)
{
    put_u64(p, SUPER_MAGIC);
    put_u32(p + 8, SHARD_VERSION);
    put_u32(p + 12, (uint32_t)token_width(s->vocab));
    put_u32(p + 16, (uint32_t)s->block_tokens);
    put_u32(p + 20, (uint32_t)s->vocab);
    put_u64(p + 24, s->stamp);
    hash_store(p + 32, s->tokenizer);
    return seal(p, SUPER_BYTES);
}

static inline struct hash put_footer(unsigned char *p, const struct footer *f)
{
    put_u64(p, FOOT_MAGIC);
    put_u64(p + 8, f->file_size);
    put_u64(p + 16, f->documents_at);
    put_u64(p + 24, f->index_at);
    put_u64(p + 32, f->tokens);
    put_u64(p + 40, f->documents);
    put_u64(p + 48, f->text_bytes);
    put_u32(p + 56, f->blocks);
    put_u32(p + 60, SHARD_VERSION);
    hash_store(p + 64, f->super);
    hash_store(p + 80, f->index);
    return seal(p, FOOT_BYTES);
}

static inline struct footer get_footer(const unsigned char *p)
{
    return (struct footer){
        .file_size = get_u64(p + 8), .documents_at = get_u64(p + 16),
        .index_at = get_u64(p + 24), .tokens = get_u64(p + 32), .documents = get_u64(p + 40),
        .text_bytes = get_u64(p + 48), .blocks = get_u32(p + 56),
        .super = hash_load(p + 64), .index = hash_load(p + 80),
    };
}

#endif
