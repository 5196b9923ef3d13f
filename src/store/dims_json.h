/* SPDX-License-Identifier: Apache-2.0 */
/* dims_json.h -- the dims of a model as the JSON object "model" of a checkpoint's info.
 *
 *     "model": { "layer": "ttt_linear", "V": 32000, "L": 12, ... }
 *
 * layer is a list of names where blocks differ.
 */
#ifndef DIMS_JSON_H
#define DIMS_JSON_H

#include <jansson.h>

#include "src/layers/dims.h"

/* The object; the caller's reference. */
json_t *dims_json(const struct dims *d);

/* Read the dims of a checkpoint from its info.  ERR_DATA, reported with `source`, if they are
 * missing or incomplete. */
int dims_of_info(struct dims *d, const json_t *info, const char *source);

#endif
