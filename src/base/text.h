/* text.h -- strict numbers from text, and the word somebody probably meant.
 *
 * The same rules for command lines and configuration files: all of the text is
 * the number or there is none; no blanks, no underscores, no hexadecimal, no
 * octal-looking 010, no NaN, no infinity, nothing out of range.
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

/* A text from outside, a name of a file or what stands in one, as a terminal may get it
 * (utf8_visible()): for results that are printed for people; messages of log.h do it by themselves.
 * Local.
 * returns  `text` itself where it may stay as it is, else a text that is good until this thread has
 *          asked for eight more */
const char *text_visible(const char *text);

/* The same for keeping: whole, however long.  A counted string.  Local. */
char *text_visible_copy(const char *text);

/* Valid UTF-8 from any bytes: each byte that belongs to no valid character becomes U+FFFD.
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
