/* SPDX-License-Identifier: Apache-2.0 */
/* set.h -- one data set while it is written: shards, INDEX.part, and at the end INDEX.
 *
 * Whenever a shard is complete, INDEX.part is replaced: it lists the finished
 * shards and the place in the input that follows the last document in them.
 * A set that is opened again drops what came later and resumes there, so the
 * files are the same however often it was interrupted.  All functions are local.
 */
#ifndef SET_H
#define SET_H

#include <stdint.h>

#include "src/base/hash.h"
#include "src/data/data_index.h"
#include "src/data/token.h"

#define SET_MODEL "tokenizer.model"

enum set_state { SET_NONE, SET_PART, SET_COMPLETE };

struct set_cut { int64_t block_tokens, shard_tokens; int level; };

struct set;

/* What a folder holds. */
enum set_state set_look(const char *dir);

/* Remove the files of a data set, and nothing else.  The folder need not exist.
 * returns  OK; ERR_CONFIG for a symbolic link, ERR_IO, reported */
int set_remove(const char *dir);

/* Begin a set in folder `dir`, or resume one that the caller knows to be the same (earlier.h).
 *
 * out      [out] release with set_close()
 * from     what it is made from: options, inputs, read, left, and skipped of a new one
 * returns  OK; ERR_CONFIG, ERR_DATA or ERR_IO, reported */
int set_open(struct set **out, const char *dir, const struct tokenizer *t, const char *model,
             size_t model_n, const struct data_index *from, struct set_cut cut);

/* The place in the input of the next document; those before it are in the set already. */
struct data_place set_next(const struct set *s);

/* What was skipped: up to the open document; of a set that was resumed, up to set_next(). */
void set_skip(struct set *s, struct data_skipped skipped);
struct data_skipped set_skipped(const struct set *s);

/* Append a document, <s> ids </s>, whose ids come in pieces.
 *
 * next     the place in the input after the document
 * returns  OK; ERR_IO or ERR_CONFIG (too many shards), reported */
int set_begin_document(struct set *s);
int set_add(struct set *s, const int32_t *ids, int64_t n);
int set_end_document(struct set *s, int64_t text_bytes, struct data_place next);

/* The same for a document whose ids are taken as they are, at least one. */
int set_begin_ids(struct set *s);
int set_end_ids(struct set *s, int64_t text_bytes, struct data_place next);

/* So many ids of the open document are <unk>, and hide so many bytes of text; and the sums. */
void set_hidden(struct set *s, int64_t tokens, int64_t bytes);
int64_t set_hidden_tokens(const struct set *s);
int64_t set_hidden_bytes(const struct set *s);

int64_t set_tokens(const struct set *s);
int64_t set_documents(const struct set *s);
int64_t set_text_bytes(const struct set *s);
const char *set_dir(const struct set *s);

/* Close the last shard and write INDEX.  INDEX.part stays until set_settle(), so
 * that a crash between two sets of one prep loses nothing. */
int set_finish(struct set *s);
int set_settle(const char *dir);

/* Release; a set that is not finished can be resumed. */
void set_close(struct set *s);

#endif
