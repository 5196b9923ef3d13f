/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/record.h"

#include "data_prep/input.h"
#include "src/base/mem.h"

void record_spoil(struct record *r, char *why, int64_t line)
{
    r->bad = mem_format("%s:%lld: %s", r->input->path, (long long)line, why);
    mem_free(why);
    mem_free(r->raw);
    r->raw = NULL;
    r->n = 0;
}
