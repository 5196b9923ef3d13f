/* SPDX-License-Identifier: Apache-2.0 */
/* text.h -- strict numbers from text, and the word that a user probably meant.
 *
 * The same rules for command lines and configuration files: the whole text must
 * be the number; no blanks, no underscores, no hexadecimal, no numbers like 010
 * that look octal, no NaN, no infinity, nothing out of range.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

/* A whole number ("3", "-3", "+3").  Local.  returns 1, or 0 if `text` is not one */
int text_int(int64_t *out, const char *text);

/* The same at the start of a text, for lists of numbers.  Local.  returns what follows it, or
 * NULL if there is none */
const char *text_whole(int64_t *out, const char *text);

/* A decimal number ("3", "-0.5", "1e-3", ".5", "5.").  Local.  returns 1 or 0 */
int text_double(double *out, const char *text);

/* The shortest decimal text that reads back to the same double, in `out`. */
#define TEXT_DOUBLE 32
void text_of_double(char out[TEXT_DOUBLE], double x);

/* A text from outside, for example the name of a file, in a form that is safe for a terminal
 * (utf8_visible()): for results that are printed for people.  Messages of log.h do it themselves.
 * Local.
 * returns  `text` itself where it is safe; else a text that stays valid for eight more calls of
 *          this thread */
const char *text_visible(const char *text);

/* The same as a counted string of any length.  Local. */
char *text_visible_copy(const char *text);

/* Make valid UTF-8: each byte that belongs to no valid character becomes U+FFFD.
 * Local.  returns a counted string */
char *text_repair(const char *text);

/* Insertions, deletions, replacements and swaps of neighbours that turn a into
 * b; INT_MAX if one is longer than 128 bytes.  Local. */
int text_distance(const char *a, const char *b);

/* Collects the nearest of many candidates:
 *     struct nearest n = { .to = "wram" };
 *     for (...) nearest_try(&n, name[i]);
 *     if (n.best) ...          NULL when nothing is near enough */
struct nearest { const char *to, *best; int distance; };
void nearest_try(struct nearest *n, const char *candidate);

#endif
