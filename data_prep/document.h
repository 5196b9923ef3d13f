/* SPDX-License-Identifier: Apache-2.0 */
/* document.h -- from a raw record to text that may be encoded. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include "data_prep/reader.h"

struct json_path;

/* Replace the record's raw bytes by its text, as its format finds it (`field` where it has named
 * fields); set r->bad if there is none.  Local; thread-safe. */
void document_text(struct record *r, const struct json_path *field);

/* Does a document belong to the held-out set, which gets that fraction?  It depends only on the
 * text. Local. */
int document_is_val(const char *text, int64_t n, double fraction);

#endif
