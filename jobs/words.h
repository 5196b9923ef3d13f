/* SPDX-License-Identifier: Apache-2.0 */
/* words.h -- a command line in one block of pointers and text: the words are counted in a first
 * pass and stored in a second one.  All functions are local.
 *
 *     char **v = words_made(all, arg);      all(w, arg) calls word(), pair(), formatted()
 */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

struct launch;
struct words { char **v; char *text; int n; size_t bytes; };

/* Append a word; two words; one that is formatted as by printf. */
void word(struct words *w, const char *s);
void pair(struct words *w, const char *a, const char *b);
void formatted(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append the words of a text, which blanks separate. */
void word_each(struct words *w, const char *text);

/* The path in a form that no program reads as an option, nor mpirun and srun as what separates two
 * programs: "./-r" for "-r", "./:" for ":".  A counted string. */
char *word_path(const char *path);

/* --- words for a shell, in scripts and in commands that are shown ------------------------------
 *  */

/* The word that a shell reads as `text`, in quotes if necessary; a counted string. */
char *shell_word(const char *text);

/* Such words of a list that NULL ends, separated by blanks.  A counted string. */
char *shell_line(char *const words[]);

/* The words that all(w, l) appends, ended by NULL; a counted block. */
char **words_made(void (*all)(struct words *w, const struct launch *l), const struct launch *l);

#endif
