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

/* A path that no program takes for an option, nor mpirun and srun for what separates two programs:
 * "./-r" for "-r", "./:" for ":"; a counted string. */
char *word_path(const char *path);

/* --- words for a shell: scripts and commands that are shown are made of these ------------------ */

/* The word that a shell reads as `text`, in quotes where it has to be; a counted string. */
char *shell_word(const char *text);

/* Such words, separated by blanks; `words` is ended by NULL.  A counted string. */
char *shell_line(char *const words[]);

/* The words of all(), ended by NULL; a counted block. */
char **words_made(void (*all)(struct words *w, const struct launch *l), const struct launch *l);

#endif
