/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/decoder.h"

#include <string.h>

#include "data_prep/decode_archive.h"
#include "data_prep/decode_gzip.h"
#include "data_prep/decode_plain.h"
#include "data_prep/decode_zstd.h"

static const struct decoder *const table[] = {
    &decode_plain, &decode_zstd, &decode_gzip, &decode_xz, &decode_bzip2, &decode_lz4,
};

#define ROWS ((int)(sizeof table / sizeof *table))

const struct decoder *decoder_row(int i) { return i >= 0 && i < ROWS ? table[i] : NULL; }

int decoder_number(const struct decoder *d)
{
    int i = 0;
    while (table[i] != d) i++;
    return i;
}

const struct decoder *decoder_of_name(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(table[i]->name, name)) return table[i];
    return NULL;
}

const struct decoder *decoder_of_content(const char *p, int64_t n)
{
    for (int i = 1; i < ROWS; i++)
        if (table[i]->begins && table[i]->begins(p, n)) return table[i];
    return table[0];
}
