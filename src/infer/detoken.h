/* SPDX-License-Identifier: Apache-2.0 */
/* detoken.h -- text from tokens one by one, in whole characters.
 *
 * A token may be a part of a character (a byte), and its text may depend on
 * the one before it (a leading space).  So a few tokens of context are decoded
 * again with every new one, and bytes are held back until their character is
 * complete.
 */
#ifndef DETOKEN_H
#define DETOKEN_H

#include <stdint.h>

struct tokenizer;
struct detoken;

/* Text that follows `context` (n tokens, may be 0), which is not given out
 * again.  t is borrowed. */
struct detoken *detoken_new(const struct tokenizer *t, const int32_t *context, int64_t n);
void detoken_free(struct detoken *d);

/* Add a token.
 * text [out] what became complete, valid UTF-8, perhaps ""; the detoken's,
 * until its next call */
int detoken_add(struct detoken *d, int32_t token, const char **text);

/* What was held back, each byte that is no character as U+FFFD. */
int detoken_end(struct detoken *d, const char **text);

#endif
