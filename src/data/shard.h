/* SPDX-License-Identifier: Apache-2.0 */
/* shard.h -- one file of tokens, *.tts: independent zstd blocks that can be
 * read in any order, and of which every bit is covered by a hash.
 *
 *     superblock   64 B  magic, version, token width, block_tokens, vocab, stamp,
 *                        tokenizer's hash; own hash
 *     block 0            record: header 64 B, then one zstd frame of
 *     block 1            block_tokens little-endian u16 or u32 (the last is shorter)
 *     ...
 *     documents          record: length of each document in tokens, LEB128
 *     index              record: offset, stored and raw size, hash of each record above
 *     footer      112 B  sizes, counts, offsets, hashes of superblock and of the
 *                        index's header; own hash
 *
 * A record's header holds kind, number, sizes, first token, stamp, the hash of
 * its stored bytes, and its own hash.  All numbers are little-endian.  There is
 * no padding and no gap: the offsets follow from the sizes and must agree.  So every
 * bit that was flipped, cut off, added, swapped or copied from another shard is
 * found.  Sizes come only from verified headers, and are compared with limits and
 * the file's size before memory is allocated.
 *
 * Documents never cross shards.
 */
#ifndef SHARD_H
#define SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/hash.h"

#define SHARD_MAX_BLOCK_TOKENS ((int64_t)1 << 24)
#define SHARD_MAX_TOKENS ((int64_t)1 << 36)
#define SHARD_MAX_DOCUMENTS ((int64_t)1 << 24)
#define SHARD_MAX_BLOCKS (((int64_t)1 << 25) - 1)  /* with the documents' entry, an index of 1 GiB */

/* What is decided before the first token. */
struct shard_spec {
    int         vocab;         /* ids are < vocab; above 65,536 they take four bytes */
    int64_t     block_tokens;  /* in a block; of a document this decides nothing      */
    uint64_t    stamp;         /* marks the records that belong together              */
    struct hash tokenizer;
};

/* What is known after the last token. */
struct shard_sums {
    int64_t     size;          /* bytes of the file                              */
    int64_t     tokens, documents;
    int64_t     text_bytes;    /* of the source text                             */
    struct hash footer;        /* the footer's own hash: fixes the whole content */
};

struct shard;

/* Open and check all but the blocks and the list of documents, which are
 * checked whenever they are read.
 *
 * returns  OK, ERR_MISSING, ERR_DATA, ERR_IO; reported with file, place, offset
 * cost     three reads; 64 bytes of memory a block
 */
int shard_open(struct shard **out, const char *path);
void shard_close(struct shard *s);

const struct shard_spec *shard_spec(const struct shard *s);
const struct shard_sums *shard_sums(const struct shard *s);
int64_t shard_blocks(const struct shard *s);

/* Tokens of block `b`, of which `n` come [out]: block_tokens, or what is left
 * in the last block. */
int shard_read(struct shard *s, int32_t *out, int64_t *n, int64_t b);

/* Length of every document in tokens, a counted block. */
int shard_documents(struct shard *s, int64_t **lengths);

/* ---- writing */

struct shard_writer;

/* A new file; it must not exist.  level: of zstd. */
int shard_create(struct shard_writer **out, const char *path, const struct shard_spec *spec,
                 int level);

/* Append ids; the caller has checked that they are < vocab (checked again). */
int shard_add(struct shard_writer *w, const int32_t *ids, int64_t n);

/* What was added since the last end is one document, made of `text_bytes`. */
void shard_end_document(struct shard_writer *w, int64_t text_bytes);

int64_t shard_written(const struct shard_writer *w);            /* tokens so far    */
int64_t shard_written_documents(const struct shard_writer *w);

/* Write the rest, fsync, close, and release w, whatever is returned. */
int shard_finish(struct shard_writer *w, struct shard_sums *sums);

/* Abandon an unfinished shard: close, unlink, release; NULL is allowed. */
void shard_abandon(struct shard_writer *w);

#endif
