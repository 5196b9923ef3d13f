/* SPDX-License-Identifier: Apache-2.0 */
/* python_json.h -- JSON as Python's json module writes it: next to what the standard has also the
 * numbers NaN, Infinity and -Infinity.
 *
 * They become { "__float__": "Infinity" }, which is how newer files of transformers say the same; so
 * whoever wants a number finds none, and nothing is lost when the object is written again.
 */
#ifndef PYTHON_JSON_H
#define PYTHON_JSON_H

#include <jansson.h>
#include <stddef.h>

/* Repeated keys are a mistake.  NULL: *error says where and why; its column is too large after such
 * a number. */
json_t *python_json_load(const char *text, size_t n, json_error_t *error);

/* The way back: such an object in JSON text becomes the bare word, which all versions read. */
void python_json_words(char *text);

#endif
