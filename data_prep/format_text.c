/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/format_text.h"

#include <string.h>

#include "data_prep/content.h"
#include "data_prep/input.h"
#include "data_prep/record.h"
#include "src/base/encoding.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

/* Does the first line look like a JSON object? */
static int is_json_line(const char *p, int64_t n)
{
    const char *newline = memchr(p, '\n', (size_t)n);
    int64_t at = 0;

    if (newline) n = newline - p;
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\r')) n--;
    if (n < 2 || p[at++] != '{' || p[n - 1] != '}') return 0;
    while (p[at] == ' ') at++;
    return p[at] == '"';
}

/* JSON lines that are read as one text, with all quotes and braces, are probably a mistake. */
static void tell_json(struct content *c, const struct record *rec)
{
    if (c->told || !is_json_line(rec->raw, rec->n)) return;
    c->told = 1;
    log_warn("%s: looks like JSON lines, but is read as one plain text; to read each line as a "
             "document, %s", rec->input->path,
             rec->input->size < 0 ? "use --stdin jsonl" : "give the file the ending .jsonl");
}

/* The whole file is one document. */
static int next_text(struct content *c, struct record *out)
{
    int64_t lost = 0;
    int rc = OK;

    if (c->records) return OK;
    while (!c->eof) {
        if (c->end - c->at > MAX_DOCUMENT) {
            lost += c->end - c->at;
            content_drop(c, c->end - c->at);
        }
        TRY(content_fill(c));
    }
    if (lost)
        out->bad = mem_format("%s:1: a text of %lld bytes, but at most %lld are allowed",
                              out->input->path, (long long)(lost + c->end - c->at),
                              (long long)MAX_DOCUMENT);
    else if (c->end - c->at > utf8_mark(c->buffer + c->at, c->end - c->at))
        content_give(c, out, c->end - c->at);
    if (out->raw) tell_json(c, out);
    out->bytes = lost + c->end - c->at;
    c->records += out->raw || out->bad;
    content_drop(c, c->end - c->at);
    out->line = 1;
out:
    return rc;
}

/* A text file must be UTF-8 from its beginning to its end. */
static void check_text(struct record *r, const struct json_path *field)
{
    const int64_t valid = utf8_valid(r->raw, r->n);
    int64_t line = r->line;

    (void)field;
    if (valid == r->n) return;
    for (int64_t i = 0; i < valid; i++) line += r->raw[i] == '\n';
    record_spoil(r, encoding_complaint(r->raw, r->n, valid, r->mark, "file", r->input->size < 0),
                 line);
}

const struct format format_text = {
    .name = "txt", .endings = { ".txt" }, .next = next_text, .text = check_text,
};
