/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/format.h"

#include <string.h>

#include "data_prep/format_csv.h"
#include "data_prep/format_json.h"
#include "data_prep/format_jsonl.h"
#include "data_prep/format_text.h"
#include "src/base/mem.h"

static const struct format *const table[] = {
    &format_text, &format_jsonl, &format_json, &format_csv, &format_tsv,
};

#define ROWS ((int)(sizeof table / sizeof *table))

const struct format *format_row(int i) { return i >= 0 && i < ROWS ? table[i] : NULL; }

int format_number(const struct format *f)
{
    int i = 0;
    while (table[i] != f) i++;
    return i;
}

const struct format *format_of_name(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(table[i]->name, name)) return table[i];
    return NULL;
}

char *format_names(void)
{
    char *all = mem_string(table[0]->name);

    for (int i = 1; i < ROWS; i++) {
        char *more = mem_format("%s%s%s", all, i + 1 < ROWS ? ", " : " or ", table[i]->name);
        mem_free(all);
        all = more;
    }
    return all;
}
