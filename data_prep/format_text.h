/* SPDX-License-Identifier: Apache-2.0 */
/* format_text.h -- a file of UTF-8 text is one document. */
#ifndef FORMAT_TEXT_H
#define FORMAT_TEXT_H

#include "data_prep/format.h"

extern const struct format format_text;

#endif
