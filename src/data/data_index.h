/* data_index.h -- the INDEX of a data set: what is in it, and how to know.
 *
 *     # ttt data set
 *     format: 1
 *     tokenizer: sentencepiece
 *     tokenizer_file: tokenizer.model
 *     ...
 *     shards:
 *       - {name: shard-000000.tts, size: 81234, tokens: 65536, ..., footer: 0f...}
 *     hash: 5c...
 *
 * It is YAML for people and other programs, in one fixed spelling for us: keys
 * in this order, whole numbers without signs.  The last line is the hash of all
 * before it.  It is written last, so it is the commit point of a data set.
 *
 * While a data set is being made, INDEX.part holds the same for the shards that
 * are finished, and where in the input the next one begins.
 */
#ifndef DATA_INDEX_H
#define DATA_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "src/data/shard.h"

#define INDEX_MAX_SHARDS 65536

struct data_shard { char name[64]; struct shard_sums sums; };

/* Where to go on; line is for messages. */
struct data_place { int64_t file, offset, line; };

struct data_index {
    char               kind[32];            /* "bytes", "sentencepiece"          */
    char               tokenizer_file[64];  /* in the same folder; "" for none   */
    struct hash        tokenizer;
    int                vocab, bos, eos;
    int64_t            tokens, documents, text_bytes;  /* sums over the shards    */
    struct hash        content;   /* chain over documents, see content_add()     */
    int                part;      /* INDEX.part: the next two count              */
    struct hash        options;   /* of everything that decides the output       */
    struct data_place  next;
    struct data_shard *shards;    /* a counted block                             */
    int                shard_count;
};

/* Read and check; `x` is to be released by data_index_done() in any case.
 * part: expect INDEX.part.  returns OK, ERR_MISSING, ERR_DATA */
int data_index_read(struct data_index *x, const char *path, int part);

/* Replace the file at path by x. */
int data_index_write(const struct data_index *x, const char *path);

/* Append a finished shard and add its sums. */
void data_index_add(struct data_index *x, const char *name, const struct shard_sums *sums);

void data_index_done(struct data_index *x);

/* One more document behind `content`: the hash of both.  The chain depends on
 * tokens and documents only, not on how they are cut into shards and blocks. */
struct hash content_add(struct hash content, struct hash document);

/* Hash of a document's tokens in pieces: feed them, then take hasher_get(). */
void content_tokens(struct hasher *h, const int32_t *ids, int64_t n);

/* Content and tokenizer in one. */
struct hash data_index_fingerprint(const struct data_index *x);

#endif
