/* report.h -- what a prep says of input that did not become text as it is. */
#ifndef REPORT_H
#define REPORT_H

#include "data_prep/pipeline.h"
#include "data_prep/set.h"

/* The first text that the tokenizer could not spell, for a message. */
struct unspelled { char text[HIDDEN_TEXT]; char *where; };

/* Count what of a document's chunks is hidden by <unk> in its set, and keep the first. */
void report_hidden(struct unspelled *first, struct set *s, const struct doc *d);

/* Warn if <unk> hides text of a set: how much, and the first of it where this process met it. */
void report_unk(const struct set *s, const struct unspelled *first);

/* A table of the inputs on the log: what was read, and what was left out and why; dir/INPUTS has
 * all names. */
void report_inputs(const struct inputs *in, const char *dir);

/* "2 bad documents and the rest of 1 file skipped: 1.2 MiB, 3.4 % of the input"; "" for nothing.
 * returns text */
#define REPORT_SKIPPED 160
const char *report_skipped(char text[REPORT_SKIPPED], struct data_skipped s);

#endif
