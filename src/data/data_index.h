/* SPDX-License-Identifier: Apache-2.0 */
/* data_index.h -- the INDEX of a data set: what it contains, with the hashes that prove it.
 *
 *     # ttt data set
 *     format: 2
 *     tokenizer: sentencepiece
 *     tokenizer_file: tokenizer.model
 *     ...
 *     shards:
 *       - {name: shard-000000.tts, size: 81234, tokens: 65536, ..., footer: 0f...}
 *     hash: 5c...
 *
 * It is YAML for people and other programs; this program accepts one fixed form:
 * keys in this order, whole numbers without signs.  The last line is the hash of
 * all before it.  INDEX is written last, so it is the commit point of a data set.
 *
 * While a data set is being made, INDEX.part holds the same for the shards that
 * are finished, and where in the input the next one begins.
 *
 * Format 1 has no unk, unk_tokens, unk_bytes, inputs, left_out and skipped, and has
 * options only in INDEX.part.  It can be read; a program that knows only format 1
 * refuses format 2 with "INDEX:1: expected ... format: 1".
 */
#ifndef DATA_INDEX_H
#define DATA_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "src/data/shard.h"

#define INDEX_FORMAT 2  /* that is written */
#define INDEX_MAX_SHARDS 65536

struct data_shard { char name[64]; struct shard_sums sums; };

/* Where to continue; line is for messages. */
struct data_place { int64_t file, offset, line; };

/* Why something in a folder of inputs was not read. */
enum data_left {
    LEFT_HIDDEN,      /* its name, or that of a folder above it, begins with a dot */
    LEFT_FORMAT,      /* its name ends like no format that is read                 */
    LEFT_LINK,        /* a symbolic link to nothing                                */
    LEFT_SPECIAL,     /* a FIFO, socket or device                                  */
    LEFT_AGAIN,       /* a file or folder that another path in the folder reached  */
    LEFT_UNREADABLE,  /* no permission, and --skip-bad                             */
    LEFT_KINDS
};

/* "hidden", "other_format", ... as INDEX spells it. */
const char *data_left_name(enum data_left why);

struct data_files { int64_t files, bytes; };

/* Bad input that --skip-bad left out. */
struct data_skipped {
    int64_t documents;   /* where they can be counted                               */
    int64_t files;       /* else files whose rest was lost                          */
    int64_t bytes;       /* of those, decompressed; of a file's rest an estimate    */
    int64_t read_bytes;  /* of all input up to here, the skipped included           */
};

struct data_index {
    int                format;              /* of the file that was read           */
    char               kind[32];            /* "bytes", "sentencepiece"          */
    char               tokenizer_file[64];  /* in the same folder; "" for none   */
    struct hash        tokenizer;
    int                vocab, bos, eos;
    int                unk;       /* id of <unk>; -1: it has none, or format 1      */
    int64_t            tokens, documents, text_bytes;  /* sums over the shards    */
    int64_t            unk_tokens, unk_bytes;  /* <unk>, and the text that it hides;
                                                * -1: not known, format 1          */
    struct hash        content;   /* chain over documents, see content_add()     */
    struct hash        options;   /* of all but the inputs that decides the output */
    struct hash        inputs;    /* of what was read, in order                   */
    struct data_files  read, left[LEFT_KINDS];
    struct data_skipped skipped;
    int                part;      /* INDEX.part: `next` counts                   */
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

/* Append a document to the chain `content`: the hash of both.  The chain depends
 * only on tokens and documents, not on how they are cut into shards and blocks. */
struct hash content_add(struct hash content, struct hash document);

/* Hash of a document's tokens in pieces: feed them, then take hasher_get(). */
void content_tokens(struct hasher *h, const int32_t *ids, int64_t n);

/* Content and tokenizer in one. */
struct hash data_index_fingerprint(const struct data_index *x);

#endif
