/* SPDX-License-Identifier: Apache-2.0 */
/* roff.h -- manual pages (man 7 man).  Local. */
#ifndef ROFF_H
#define ROFF_H

#include <stdio.h>

/* The head of page NAME(section), "ttt bench gemm" or "ttt run", and its line for whatis. */
void roff_head(FILE *out, const char *name, int section, const char *what);

/* A text of any number of lines, in which nothing is a request; without the marks that Markdown
 * puts around code. */
void roff_text(FILE *out, const char *text);

#endif
