/* SPDX-License-Identifier: Apache-2.0 */
/* format_jsonl.h -- JSON lines: one document a line, whose text is a field of its object. */
#ifndef FORMAT_JSONL_H
#define FORMAT_JSONL_H

#include "data_prep/format.h"

extern const struct format format_jsonl;

#endif
