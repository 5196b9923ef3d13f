/* SPDX-License-Identifier: Apache-2.0 */
/* dataset.h -- the tokens of all shards of a data set as one array.
 *
 * An INDEX file (YAML) names shards in order; token i of the data set is token
 * i - start of the shard that holds it.  Windows are read by position, so the
 * cut of the stream into files does not matter.
 */
#ifndef DATASET_H
#define DATASET_H

#include <stdint.h>

#include "src/base/hash.h"

struct dataset;

/* Open the data set in folder `path` (which holds INDEX) or at an INDEX file.
 * Checks the INDEX, and of every shard its header, footer and block index.
 * returns OK, ERR_MISSING, ERR_DATA; reported with file and place */
int dataset_open(struct dataset **out, const char *path);
void dataset_close(struct dataset *d);

int64_t dataset_tokens(const struct dataset *d);
int64_t dataset_documents(const struct dataset *d);
int64_t dataset_text_bytes(const struct dataset *d);  /* of the source text, for bits per byte */
int     dataset_vocab(const struct dataset *d);
int     dataset_unk(const struct dataset *d);         /* id of <unk>; -1: there is none */

/* Identifies content and tokenizer, whatever the sharding. */
struct hash dataset_fingerprint(const struct dataset *d);

/* Tokenizer kind ("bytes", "sentencepiece"), its file (NULL for bytes), hash. */
const char *dataset_tokenizer(const struct dataset *d, const char **model_path,
                              struct hash *hash);

/* out[0, n) = tokens [first, first + n).  Reads and verifies the blocks it needs,
 * and keeps the last few. */
int dataset_read(struct dataset *d, int32_t *out, int64_t first, int64_t n);

/* Where document `number` (from 0) begins, and its length in tokens. */
int dataset_document(struct dataset *d, int64_t number, int64_t *first, int64_t *n);

/* Lengths in tokens of the documents of shard number i, a counted block; how many: index. */
int dataset_lengths(struct dataset *d, int64_t **lengths, int i);

/* The content of INDEX (data_index.h); borrowed. */
struct data_index;
const struct data_index *dataset_index(const struct dataset *d);

/* Read every block and list of documents of every shard and compute the
 * content's hash again.  Reports all that is wrong, with file, block and offset.
 * progress is called with the number of tokens done so far; may be NULL. */
int dataset_verify(struct dataset *d, void (*progress)(int64_t tokens, void *arg), void *arg);

#endif
