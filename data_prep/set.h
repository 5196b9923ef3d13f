/* set.h -- one data set in the making: shards, INDEX.part, in the end INDEX.
 *
 * Whenever a shard is complete, INDEX.part is replaced: it lists the finished
 * shards and the place in the input that follows the last document in them.
 * A set that is opened again throws away what came later and goes on there, so
 * the files are the same however often it was interrupted.
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

/* What is in a folder. */
enum set_state set_look(const char *dir);

/* Remove what a data set consists of, and nothing else.  A folder that is not
 * there is fine. */
int set_remove(const char *dir);

/* Begin a set in folder `dir`, or go on with one that the caller knows to be the same (there.h).
 * from: what it is made from: options, inputs, read and left count, and skipped of a new one. */
int set_open(struct set **out, const char *dir, const struct tokenizer *t, const char *model,
             size_t model_n, const struct data_index *from, struct set_cut cut);

/* Where the next document must come from; documents before it are in already. */
struct data_place set_next(const struct set *s);

/* What was skipped up to the document that is open, and, when it is opened, up to set_next(). */
void set_skip(struct set *s, struct data_skipped skipped);
struct data_skipped set_skipped(const struct set *s);

/* Append <s> ids </s>.  The ids come in pieces. */
int set_begin_document(struct set *s);
int set_add(struct set *s, const int32_t *ids, int64_t n);
int set_end_document(struct set *s, int64_t text_bytes, struct data_place next);

/* Of the open document, so many ids are <unk> and hide so much text. */
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

/* Release; what is not finished stays resumable. */
void set_close(struct set *s);

#endif
