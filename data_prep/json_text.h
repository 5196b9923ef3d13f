/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h -- decode the inside of a JSON string. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stdint.h>

/* The number of bytes before the next quote, backslash or control character.  Local. */
int64_t json_plain(const char *p, const char *end);

/* Turn the raw inside of a string, between its quotes, into text.  Strict.  Thread-safe.
 *
 * out      [out] room for n bytes; must not overlap raw
 * out_n    [out] bytes written
 * bad      [out] the offset in raw of what is wrong
 * returns  NULL, or what is wrong, a constant */
const char *json_text(char *out, int64_t *out_n, const char *raw, int64_t n, int64_t *bad);

#endif
