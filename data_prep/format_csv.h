/* SPDX-License-Identifier: Apache-2.0 */
/* format_csv.h -- .csv and .tsv with a header: a row is a document, --field names its column.
 *
 * Quotes are those of RFC 4180: "a ""word"", and a comma"; a quoted field may have newlines.
 */
#ifndef FORMAT_CSV_H
#define FORMAT_CSV_H

#include "data_prep/format.h"

extern const struct format format_csv, format_tsv;

#endif
