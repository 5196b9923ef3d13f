/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/format_json.h"

#include <stdio.h>
#include <string.h>

#include "data_prep/content.h"
#include "data_prep/format_jsonl.h"
#include "data_prep/input.h"
#include "data_prep/record.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

/* content.form: how the file is laid out, and where in it we are. */
enum { UNKNOWN, LINES, FIRST, NEXT, OBJECT, END };

static int is_space(char b) { return b == ' ' || b == '\t' || b == '\r' || b == '\n'; }

/* Take one byte. */
static void take(struct content *c)
{
    c->place.line += c->buffer[c->at] == '\n';
    content_drop(c, 1);
}

/* Move to the next byte that is not white space; there is none if at == end then. */
static int skip_space(struct content *c)
{
    for (;;) {
        while (c->at < c->end && is_space(c->buffer[c->at])) take(c);
        if (c->at < c->end || c->eof) return OK;
        const int rc = content_fill(c);
        if (rc != OK) return rc;
    }
}

/* What follows can't be told apart any more. */
static int give_up(struct content *c, struct record *out, const char *expected)
{
    char found[32] = "the end of the file";

    if (c->at < c->end) {
        const unsigned char b = (unsigned char)c->buffer[c->at];
        snprintf(found, sizeof found, b > ' ' && b < 127 ? "'%c'" : "the byte 0x%02x", b);
    }
    out->bad = mem_format("%s:%lld: not JSON: expected %s, found %s; the rest of the file is lost",
                          out->input->path, (long long)c->place.line + 1, expected, found);
    out->rest = 1;
    return OK;
}

/* Is it an array, an object over several lines, or lines? */
static int look(struct content *c)
{
    if (c->end - c->at >= 3) content_drop(c, utf8_mark(c->buffer + c->at, c->end - c->at));
    int rc = skip_space(c);
    int64_t i = c->at + 1;

    if (rc != OK || c->at == c->end) return rc;
    if (c->buffer[c->at] == '[') {
        c->form = FIRST;
        content_drop(c, 1);
        return OK;
    }
    while (i < c->end && (c->buffer[i] == ' ' || c->buffer[i] == '\r')) i++;
    c->form = c->buffer[c->at] == '{' && i < c->end && c->buffer[i] == '\n' ? OBJECT : LINES;
    return OK;
}

/* The object that begins here is a record: brackets in pairs, outside of strings. */
static int take_object(struct content *c, struct record *out)
{
    int64_t n = 0, depth = 0, newlines = 0;
    int quoted = 0, escaped = 0;

    for (;;) {
        const char *p = c->buffer + c->at;
        for (const int64_t there = c->end - c->at; n < there; n++) {
            newlines += p[n] == '\n';
            if (escaped) escaped = 0;
            else if (quoted) {
                escaped = p[n] == '\\';
                quoted = p[n] != '"';
            } else if (p[n] == '"') quoted = 1;
            else if (p[n] == '{' || p[n] == '[') depth++;
            else if ((p[n] == '}' || p[n] == ']') && --depth == 0) break;
        }
        if (n < c->end - c->at) break;
        if (n > MAX_DOCUMENT) return give_up(c, out, "an object of at most 1 GiB");
        if (c->eof) {
            content_drop(c, n);
            return give_up(c, out, "the end of an object");
        }
        const int rc = content_fill(c);
        if (rc != OK) return rc;
    }
    out->line = c->place.line + 1;
    content_give(c, out, n + 1);
    content_drop(c, n + 1);
    c->place.line += newlines;
    out->bytes = c->place.offset - out->begin.offset;
    c->records++;
    return OK;
}

static int next_object(struct content *c, struct record *out)
{
    int rc = OK;

    if (c->form == UNKNOWN) TRY(look(c));
    if (c->form == LINES) return format_jsonl.next(c, out);
    if (c->form == UNKNOWN) goto out;  /* nothing in it */
    TRY(skip_space(c));
    const char here = c->at < c->end ? c->buffer[c->at] : '\0';
    if (c->form == END || (c->form == OBJECT && here != '{')) {
        if (c->at < c->end) rc = give_up(c, out, "the end of the file");
        goto out;
    }
    if ((c->form == FIRST || c->form == NEXT) && here == ']') {
        take(c);
        c->form = END;
        return next_object(c, out);
    }
    if (c->form == NEXT) {
        if (here != ',') return give_up(c, out, "',' or ']' after an object of the array");
        take(c);
        TRY(skip_space(c));
    }
    if (c->at == c->end || c->buffer[c->at] != '{')
        return give_up(c, out, "an object in the array");
    if (c->form == FIRST) c->form = NEXT;
    TRY(take_object(c, out));
out:
    return rc;
}

static void take_text(struct record *r, const struct json_path *field)
{
    format_jsonl.text(r, field);
}

const struct format format_json = {
    .name = "json", .endings = { ".json" }, .restart = 1, .next = next_object, .text = take_text,
};
