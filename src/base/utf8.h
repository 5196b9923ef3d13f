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

/* A text from outside as a terminal may get it: what could move the cursor, change
 * colours or hide text is spelt out.  \n \r \t are written as here, other control
 * characters of ASCII and bytes that are not UTF-8 as \x1b, those of Unicode (also
 * what turns the direction of writing) as \u009b.  Everything else stays.
 *
 * out      [out] a string of less than `room` >= 4 bytes; one that is cut ends with "..."
 * returns  the length of the whole: that of `text` if nothing had to be spelt out */
size_t utf8_visible(char *out, size_t room, const char *text);

#endif
