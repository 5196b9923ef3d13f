/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/format_jsonl.h"

#include <string.h>

#include "data_prep/content.h"
#include "data_prep/input.h"
#include "data_prep/json_field.h"
#include "data_prep/record.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

static int is_blank(const char *p, int64_t n)
{
    for (int64_t i = utf8_mark(p, n); i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r') return 0;
    return 1;
}

/* The next line that is not blank; `out` stays empty at the end of the file. */
static int next_line(struct content *c, struct record *out)
{
    int64_t seen = 0, lost = 0;  /* searched for a newline; given up */

    for (;;) {
        const char *line = c->buffer + c->at;
        const int64_t there = c->end - c->at;
        const char *newline =
            there > seen ? memchr(line + seen, '\n', (size_t)(there - seen)) : NULL;
        const int64_t n = newline ? newline - line : there;
        if (!newline && !c->eof) {
            if (n > MAX_DOCUMENT) {
                lost += n;
                content_drop(c, n);
            }
            seen = c->end - c->at;
            const int rc = content_fill(c);
            if (rc != OK) return rc;
            continue;
        }
        if (!newline && n == 0 && !lost) return OK;
        out->line = ++c->place.line;
        if (lost + n > MAX_DOCUMENT)
            out->bad = mem_format("%s:%lld: a line of %lld bytes, but at most %lld are allowed",
                                  out->input->path, (long long)out->line, (long long)(lost + n),
                                  (long long)MAX_DOCUMENT);
        else if (!is_blank(line, n))
            content_give(c, out, n);
        content_drop(c, n + (newline != NULL));
        out->bytes = lost + n + (newline != NULL);
        if (out->raw || out->bad) break;
        out->begin = c->place;
        seen = 0;
    }
    c->records++;
    return OK;
}

static void take_field(struct record *r, const struct json_path *field)
{
    char *text;
    int64_t n;
    char *why = json_field(field, r->raw, r->n, r->mark, &text, &n, &r->repeats);

    if (why) {
        record_spoil(r, why, r->line);
        return;
    }
    mem_free(r->raw);
    r->raw = text;
    r->n = n;
}

const struct format format_jsonl = {
    .name = "jsonl", .endings = { ".jsonl", ".ndjson" }, .next = next_line, .text = take_field,
};
