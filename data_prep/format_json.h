/* SPDX-License-Identifier: Apache-2.0 */
/* format_json.h -- .json: an object on each line, one array of objects, or one object. */
#ifndef FORMAT_JSON_H
#define FORMAT_JSON_H

#include "data_prep/format.h"

extern const struct format format_json;

#endif
