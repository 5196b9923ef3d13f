/* SPDX-License-Identifier: Apache-2.0 */
/* report.h -- what a prep reports about its inputs, skipped documents and text hidden by <unk>. */
#ifndef REPORT_H
#define REPORT_H

#include "data_prep/pipeline.h"
#include "data_prep/set.h"

/* The first text that the tokenizer could not represent, for a message. */
struct unspelled { char text[HIDDEN_TEXT]; char *where; };

/* Count the text that <unk> hides in the chunks of a document, for its set, and keep the first. 
 * Local. */
void report_hidden(struct unspelled *first, struct set *s, const struct doc *d);

/* Warn if <unk> hides text of a set: how much, and the first of it if this process met it. 
 * Local. */
void report_unk(const struct set *s, const struct unspelled *first);

/* Log a table of the inputs: what was read, and what was left out and why.  dir/INPUTS has all
 * names.  Local. */
void report_inputs(const struct inputs *in, const char *dir);

/* "2 bad documents and all or the end of 1 file skipped: 1.2 MiB, 3.4 % of the input", or "" if
 * nothing was skipped.  Local.  returns text */
#define REPORT_SKIPPED 160
const char *report_skipped(char text[REPORT_SKIPPED], struct data_skipped s);

#endif
