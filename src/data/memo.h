/* SPDX-License-Identifier: Apache-2.0 */
/* memo.h -- a cache of the ids of short texts that were encoded before.
 *
 * Most of a tokenizer's time would go into encoding the same words repeatedly.  A memo is a table
 * of fixed size in which a text replaces the one that had its place.  What it holds changes no id,
 * only the time.
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

/* Take a memo for this thread alone, and return it.  Thread-safe. */
struct memo *memos_take(struct memos *all);
void memos_give(struct memos *all, struct memo *m);

/* The place of a text of n bytes, 1 <= n <= MEMO_TEXT; known [out]: its ids are there. */
struct memo_entry *memo_find(struct memo *m, const char *text, int64_t n, int *known);

/* Fill the place that memo_find() gave; more than MEMO_IDS ids are not kept. */
void memo_put(struct memo_entry *e, const char *text, int64_t n, const int32_t *ids,
              int64_t count);

#endif
