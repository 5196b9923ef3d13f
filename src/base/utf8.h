/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h -- UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates,
 * nothing above U+10FFFF. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes [0, n) from the start that are valid; n if all are. */
int64_t utf8_valid(const char *text, int64_t n);

/* Bytes of the byte order mark (U+FEFF) that the text begins with: 3, or 0 if there is none.  It
 * says "UTF-8" and is no part of the text.  Local. */
int64_t utf8_mark(const char *text, int64_t n);

/* The character at text[0] of valid text; its length in bytes [out]. */
uint32_t utf8_char(const char *text, int *length);

/* Make a text from outside safe for a terminal: characters that could move the cursor,
 * change colours or hide text are written as escapes.  \n \r \t are written like this,
 * other ASCII control characters and bytes that are not UTF-8 as \x1b, those of Unicode
 * (also those that change the direction of writing) as \u009b.  All others stay.
 *
 * out      [out] a string of less than `room` >= 4 bytes; one that is cut ends with "..."
 * returns  the length without a cut: that of `text` if nothing had to be escaped */
size_t utf8_visible(char *out, size_t room, const char *text);

#endif
