/* memo.h -- ids of short texts that were encoded before.
 *
 * Text consists of words that come again and again, and most of a tokenizer's time goes into
 * finding their ids anew.  A memo is a table of fixed size in which a text replaces what was in
 * its place: what is in it changes no id, only the time.
 */
#ifndef MEMO_H
#define MEMO_H

#include <stdint.h>

enum { MEMO_TEXT = 22, MEMO_IDS = 10 };  /* bytes and ids that a place has room for */

struct memo_entry { uint8_t n, count; char text[MEMO_TEXT]; int32_t ids[MEMO_IDS]; };

/* Memos of one tokenizer: as many as threads use at once. */
struct memos;
struct memos *memos_new(void);
void memos_free(struct memos *all);

/* One for this thread alone, until it is given back.  Thread-safe. */
struct memo *memos_take(struct memos *all);
void memos_give(struct memos *all, struct memo *m);

/* The place of a text of n bytes, 1 <= n <= MEMO_TEXT; known [out]: its ids are there. */
struct memo_entry *memo_find(struct memo *m, const char *text, int64_t n, int *known);

/* Fill the place that memo_find() gave; more than MEMO_IDS ids are not kept. */
void memo_put(struct memo_entry *e, const char *text, int64_t n, const int32_t *ids,
              int64_t count);

#endif
