/* SPDX-License-Identifier: Apache-2.0 */
/* json_field.h -- read one string of a JSON object on a line, and skip everything else.
 *
 *     {"id": 18446744073709551615, "meta": {"text": "no"}, "text": "a docu\u006dent", "p": NaN}
 *      ..........skipped..........................................^read, strictly......^skipped
 *
 * Other fields hold what no strict reader takes: integers beyond 64 bits, NaN, repeated keys, half
 * surrogates, bytes that are not UTF-8.  They are skipped as text: strings up to their closing
 * quote, brackets in pairs, commas and colons where JSON has them, and words of any spelling in
 * place of numbers.  So the end of every value is certain: a line that is cut or is not an object
 * is an error, but nothing in a skipped value is.
 *
 * Of repeated keys the last one counts, on each level, as in Python, JavaScript and jq.
 */
#ifndef JSON_FIELD_H
#define JSON_FIELD_H

#include <stdint.h>

#define JSON_MAX_PARTS 32
#define JSON_MAX_DEPTH ((int64_t)1 << 20)  /* levels of nesting: one bit of memory each */

/* The name of a field.  "meta.text" is the field of exactly this name or, where the object has
 * none, the field "text" in the object "meta".  "\." is a dot that belongs to a name, "\\" a
 * backslash. */
struct json_path {
    char *whole, *part[JSON_MAX_PARTS];
    int   parts;
};

/* Parse a name.  Local.  returns OK; ERR_USAGE, reported, for a name of too many parts */
int json_path_init(struct json_path *path, const char *field);
void json_path_done(struct json_path *path);

/* Read the string at `path` of the object on a line.
 *
 * Thread-safe.  Memory: the text, and a bit a level beyond 1024 levels of nesting; the stack does
 * not grow with the depth.
 *
 * line     n bytes without the newline
 * before   bytes of a byte order mark that was before it, for messages
 * text     [out] counted block that ends with a zero byte; valid UTF-8
 * text_n   [out] its bytes
 * repeats  [out] how many more times a key of the path occurred
 * returns  NULL, or what is wrong, with the column: a counted string
 * cost     about a nanosecond for two bytes */
char *json_field(const struct json_path *path, const char *line, int64_t n, int64_t before,
                 char **text, int64_t *text_n, int *repeats);

#endif
