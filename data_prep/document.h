/* document.h -- from a raw record to text that may be encoded. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include "data_prep/reader.h"

struct json_path;

/* Replace the record's raw bytes by its text: of a JSON line the string `field`,
 * else all.  Where there is none, sets r->bad.  Thread-safe. */
void document_text(struct record *r, const struct json_path *field);

/* Does a document go to the held-out set?  Depends on its text only. */
int document_is_val(const char *text, int64_t n, double fraction);

#endif
