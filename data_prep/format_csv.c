/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/format_csv.h"

#include <string.h>

#include "data_prep/content.h"
#include "data_prep/input.h"
#include "data_prep/record.h"
#include "src/base/encoding.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

/* Where a byte of a row stands: at the beginning of a field, in one without quotes, in one with
 * quotes, or after a quote that closes it unless another one follows. */
enum csv_state { START, BARE, QUOTED, CLOSED };

/* Take one byte.
 * text     [out] is it text of the field?
 * returns  the place of the next one */
static enum csv_state step(enum csv_state at, char b, char comma, int *text)
{
    *text = 0;
    if (at == QUOTED) {
        *text = b != '"';
        return b == '"' ? CLOSED : QUOTED;
    }
    if (b == comma || b == '\n') return START;
    if (b == '"' && at == START) return QUOTED;
    *text = 1;
    return b == '"' && at == CLOSED ? QUOTED : BARE;
}

/* Bytes of the next row with its newline, 0 at the end of the file.
 * closed  [out] 0: the file ends in a quoted field; returns as content_fill() */
static int find_row(struct content *c, char comma, int64_t *n, int *closed)
{
    enum csv_state at = START;
    int text;

    for (*n = 0;;) {
        const char *p = c->buffer + c->at;
        while (*n < c->end - c->at) {
            const char b = p[(*n)++];
            const int ends = b == '\n' && at != QUOTED;
            at = step(at, b, comma, &text);
            if (!ends) continue;
            *closed = 1;
            return OK;
        }
        *closed = at != QUOTED;
        if (c->eof || *n > MAX_DOCUMENT) return OK;
        const int rc = content_fill(c);
        if (rc != OK) return rc;
    }
}

/* A row: its number of fields, and the text of field `wanted`, if it has it, in out[0, *got). */
static int64_t split(const char *p, int64_t n, char comma, int64_t wanted, char *out, int64_t *got)
{
    enum csv_state at = START;
    int64_t field = 0;
    int text;

    *got = 0;
    if (n > 0 && p[n - 1] == '\n') n--;
    if (n > 0 && p[n - 1] == '\r') n--;
    for (int64_t i = 0; i < n; i++) {
        const int ends = p[i] == comma && at != QUOTED;
        at = step(at, p[i], comma, &text);
        field += ends;
        if (text && field == wanted) out[(*got)++] = p[i];
    }
    return field + 1;
}

static int is_blank(const char *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (p[i] != '\r' && p[i] != '\n') return 0;
    return 1;
}

static void take_row(struct content *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) c->place.line += c->buffer[c->at + i] == '\n';
    content_drop(c, n);
}

/* The header names the columns: find ours. */
static void read_header(struct content *c, struct record *out, int64_t n, char comma)
{
    const char *field = c->field ? c->field : "text", *p = c->buffer + c->at;
    const int64_t mark = utf8_mark(p, n), k = (int64_t)strlen(field);
    char *name = mem_new(n + 1, 1, "header");
    int64_t got, shown = n - mark < 200 ? n - mark : 200;

    c->columns = split(p + mark, n - mark, comma, -1, name, &got);
    for (c->column = 0; c->column < c->columns; c->column++) {
        split(p + mark, n - mark, comma, c->column, name, &got);
        if (got == k && memcmp(name, field, (size_t)k) == 0) break;
    }
    mem_free(name);
    if (c->column == c->columns) {
        while (shown > 0 && (p[mark + shown - 1] == '\n' || p[mark + shown - 1] == '\r')) shown--;
        out->bad = mem_format("%s:1: no column '%s' (--field) in the header, which is: %.*s",
                              out->input->path, field, (int)shown, p + mark);
        out->rest = 1;
    }
    take_row(c, n);
}

static int next_row(struct content *c, struct record *out, char comma)
{
    int64_t n, fields;
    int closed = 1, rc = OK;

    for (;;) {
        TRY(find_row(c, comma, &n, &closed));
        if (n == 0) return OK;
        if (closed && n <= MAX_DOCUMENT && c->columns && !is_blank(c->buffer + c->at, n)) break;
        out->line = c->place.line + 1;
        if (!closed || n > MAX_DOCUMENT) {
            out->bad = mem_format("%s:%lld: %s; the rest of the file is lost", out->input->path,
                                  (long long)out->line, closed ? "a row of more than 1 GiB" :
                                  "a quoted field that begins in this row does not end");
            out->rest = 1;
            return OK;
        }
        if (c->columns || is_blank(c->buffer + c->at, n)) take_row(c, n);
        else read_header(c, out, n, comma);
        if (out->bad) return OK;
    }
    out->line = c->place.line + 1;
    out->raw = mem_new(n + 1, 1, "document");
    fields = split(c->buffer + c->at, n, comma, c->column, out->raw, &out->n);
    if (fields != c->columns)
        record_spoil(out, mem_format("a row of %lld fields, but the header has %lld",
                                     (long long)fields, (long long)c->columns), out->line);
    take_row(c, n);
    out->bytes = c->place.offset - out->begin.offset;
    c->records++;
out:
    return rc;
}

static int next_csv(struct content *c, struct record *out) { return next_row(c, out, ','); }
static int next_tsv(struct content *c, struct record *out) { return next_row(c, out, '\t'); }

static void check_field(struct record *r, const struct json_path *field)
{
    const int64_t valid = utf8_valid(r->raw, r->n);

    (void)field;  /* it was chosen by the header */
    if (valid < r->n)
        record_spoil(r, encoding_complaint(r->raw, r->n, valid, 0, "field", r->input->size < 0),
                     r->line);
}

const struct format format_csv = {
    .name = "csv", .endings = { ".csv" }, .restart = 1, .next = next_csv, .text = check_field,
};
const struct format format_tsv = {
    .name = "tsv", .endings = { ".tsv" }, .restart = 1, .next = next_tsv, .text = check_field,
};
