/* words.h -- a command line, built twice: words are counted first, then stored in one block that
 * holds pointers and text.
 *
 *     char **v = words_made(all, arg);      all(w, arg) calls word(), pair(), formatted()
 */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

struct launch;
struct words { char **v; char *text; int n; size_t bytes; };

void word(struct words *w, const char *s);
void pair(struct words *w, const char *a, const char *b);
void formatted(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Words separated by blanks. */
void word_each(struct words *w, const char *text);

/* The words of all(), ended by NULL; a counted block. */
char **words_made(void (*all)(struct words *w, const struct launch *l), const struct launch *l);

#endif
