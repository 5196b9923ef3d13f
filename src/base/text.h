/* text.h -- strict numbers from text, and the word somebody probably meant.
 *
 * The same rules for command lines and configuration files: all of the text is
 * the number or there is none; no blanks, no underscores, no hexadecimal, no
 * octal-looking 010, no NaN, no infinity, nothing out of range.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

/* A whole number.  Local.  returns 1, or 0 if `text` is not one */
int text_int(int64_t *out, const char *text);

/* A decimal number ("3", "-0.5", "1e-3", ".5").  Local.  returns 1 or 0 */
int text_double(double *out, const char *text);

/* The shortest decimal text that reads back to the same double, in `out`. */
#define TEXT_DOUBLE 32
void text_of_double(char out[TEXT_DOUBLE], double x);

/* A text that somebody else chose, such as the name of a file, for a terminal or a record: control
 * characters and what is not UTF-8 as \xNN.  A counted string.  Local. */
char *text_visible(const char *text);

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
