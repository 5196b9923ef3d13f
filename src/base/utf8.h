/* utf8.h -- UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates,
 * nothing above U+10FFFF. */
#ifndef UTF8_H
#define UTF8_H

#include <stdint.h>

/* Bytes [0, n) from the start that are valid; n if all are. */
int64_t utf8_valid(const char *text, int64_t n);

/* Bytes of the byte order mark (U+FEFF) that the text begins with: 3, or 0 if there is none.  It
 * says "UTF-8" and is no part of the text.  Local. */
int64_t utf8_mark(const char *text, int64_t n);

/* Valid text from any: each byte that belongs to no valid character becomes U+FFFD.  A counted
 * string. */
char *utf8_repair(const char *text);

/* The character at text[0] of valid text; its length in bytes [out]. */
uint32_t utf8_char(const char *text, int *length);

#endif
