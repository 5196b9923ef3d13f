/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/document.h"

#include "data_prep/format.h"
#include "data_prep/input.h"
#include "src/base/hash.h"
#include "src/base/mem.h"

void document_text(struct record *r, const struct json_path *field)
{
    if (r->bad) return;
    r->input->format->text(r, field);
    if (!r->bad && r->n == 0) record_spoil(r, mem_string("the document has no text"), r->line);
}

int document_is_val(const char *text, int64_t n, double fraction)
{
    return (double)(hash_bytes(text, (size_t)n).hi >> 11) * 0x1p-53 < fraction;
}
