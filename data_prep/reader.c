#include "data_prep/reader.h"

#include <string.h>

#include "data_prep/source.h"
#include "src/base/encoding.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

#define STEP ((int64_t)1 << 20)

struct reader {
    const struct inputs *in;
    struct source       *source;  /* NULL: the file at `place` is not open yet */
    struct data_place    place;   /* of the next unread byte                   */
    char                *buffer;  /* [at, end) was read from the source        */
    int64_t              at, end, room;
    int                  eof;
    int64_t              records; /* of this file so far                       */
    int64_t              taken;   /* bytes of the files before                 */
    int                  told;    /* that a text looks like JSON lines          */
};

struct reader *reader_new(const struct inputs *in, struct data_place from)
{
    struct reader *r = mem_new(1, sizeof *r, "reader");
    *r = (struct reader){ .in = in, .place = from, .room = 2 * STEP };
    r->buffer = mem_new(r->room, 1, "input buffer");
    for (int64_t i = 0; i < from.file && i < in->n; i++)
        if (in->v[i].size > 0) r->taken += in->v[i].size;
    return r;
}

void reader_free(struct reader *r)
{
    if (!r) return;
    source_close(r->source);
    mem_free(r->buffer);
    mem_free(r);
}

int64_t reader_taken(const struct reader *r)
{
    return r->taken + (r->source ? source_taken(r->source) : 0);
}

static void next_file(struct reader *r)
{
    const int64_t size = r->in->v[r->place.file].size;
    if (size > 0) r->taken += size;
    source_close(r->source);
    r->source = NULL;
    r->at = r->end = r->records = 0;
    r->eof = 0;
    r->place = (struct data_place){ .file = r->place.file + 1 };
}

/* Read more behind `end`.  ERR_DATA is not said yet. */
static int fill(struct reader *r)
{
    int64_t got = 0;
    if (r->at > 0) {
        memmove(r->buffer, r->buffer + r->at, (size_t)(r->end - r->at));
        r->end -= r->at;
        r->at = 0;
    }
    if (r->room - r->end < STEP) {
        r->room = 2 * r->end + 2 * STEP;
        r->buffer = mem_resize(r->buffer, r->room, 1, "input buffer");
    }
    const int rc = source_read(r->source, r->buffer + r->end, r->room - r->end, &got);
    r->end += got;
    r->eof = rc == OK && got == 0;
    return rc;
}

/* The next n bytes are a document, without a byte order mark. */
static void give(struct reader *r, struct record *out, int64_t n)
{
    const char *begin = r->buffer + r->at;
    out->mark = utf8_mark(begin, n);
    out->n = n - out->mark;
    out->raw = memcpy(mem_new(out->n + 1, 1, "document"), begin + out->mark, (size_t)out->n);
}

/* Forget n bytes of the buffer. */
static void pass(struct reader *r, int64_t n)
{
    r->at += n;
    r->place.offset += n;
}

static int is_blank(const char *p, int64_t n)
{
    for (int64_t i = utf8_mark(p, n); i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r') return 0;
    return 1;
}

/* One more line that is not blank; `out` stays empty at the end of the file. */
static int read_line(struct reader *r, struct record *out)
{
    int64_t seen = 0, lost = 0;  /* searched for a newline; given up */

    for (;;) {
        const char *line = r->buffer + r->at;
        const int64_t there = r->end - r->at;
        const char *newline =
            there > seen ? memchr(line + seen, '\n', (size_t)(there - seen)) : NULL;
        const int64_t n = newline ? newline - line : there;
        if (!newline && !r->eof) {
            if (n > MAX_DOCUMENT) {
                lost += n;
                pass(r, n);
            }
            seen = r->end - r->at;
            const int rc = fill(r);
            if (rc != OK) return rc;
            continue;
        }
        if (!newline && n == 0 && !lost) return OK;
        out->line = ++r->place.line;
        if (lost + n > MAX_DOCUMENT)
            out->bad = mem_format("%s:%lld: a line of %lld bytes, at most %lld are allowed",
                                  out->input->path, (long long)out->line, (long long)(lost + n),
                                  (long long)MAX_DOCUMENT);
        else if (!is_blank(line, n))
            give(r, out, n);
        pass(r, n + (newline != NULL));
        out->bytes = lost + n + (newline != NULL);
        if (out->raw || out->bad) break;
        out->begin = r->place;
        seen = 0;
    }
    r->records++;
    return OK;
}

/* Is the first line a whole JSON object, as it seems? */
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

/* What was meant as many documents must not become one with all its quotes and braces unnoticed. */
static void tell_json(struct reader *r, const struct record *rec)
{
    if (r->told || !is_json_line(rec->raw, rec->n)) return;
    r->told = 1;
    log_warn("%s: looks like JSON lines, and is read as one plain text; %s makes documents of the lines",
             rec->input->path, rec->input->size < 0 ? "--stdin jsonl" : "a name with .jsonl");
}

/* The whole file. */
static int read_text(struct reader *r, struct record *out)
{
    int64_t lost = 0;
    int rc = OK;

    while (!r->eof) {
        if (r->end - r->at > MAX_DOCUMENT) {
            lost += r->end - r->at;
            pass(r, r->end - r->at);
        }
        TRY(fill(r));
    }
    if (lost)
        out->bad = mem_format("%s:1: a text of %lld bytes, at most %lld are allowed",
                              out->input->path, (long long)(lost + r->end - r->at),
                              (long long)MAX_DOCUMENT);
    else if (r->end - r->at > utf8_mark(r->buffer + r->at, r->end - r->at))
        give(r, out, r->end - r->at);
    if (out->raw) tell_json(r, out);
    out->bytes = lost + r->end - r->at;
    r->records += out->raw || out->bad;
    pass(r, r->end - r->at);
    out->line = 1;
out:
    return rc;
}

/* Open a file and look at its beginning: a file that is certainly not UTF-8 is bad as a whole. */
static int begin_file(struct reader *r, struct record *out)
{
    int rc = source_open(&r->source, out->input, r->place.offset);

    r->records = r->place.offset > 0;  /* it was begun before, and there was one */
    if (rc != OK || r->records) return rc;
    while (rc == OK && r->end < ENCODING_LOOK && !r->eof) rc = fill(r);
    if (rc == ERR_DATA) rc = OK;  /* it comes again after the good part */
    const struct encoding *e = encoding_of(r->buffer, r->end);
    if (rc != OK || !e) return rc;
    char *found = encoding_sentence(e, out->input->size < 0);
    out->bad = mem_format("%s:1: expected UTF-8, %s", out->input->path, found);
    out->bytes = r->end + source_left(r->source);
    mem_free(found);
    return OK;
}

int reader_next(struct reader *r, struct record *out, int *more)
{
    int rc = OK;

    *more = 1;
    while (r->place.file < r->in->n) {
        const struct input *input = r->in->v + r->place.file;
        *out = (struct record){ .input = input, .begin = r->place };
        if (!r->source) rc = begin_file(r, out);
        const int foreign = out->bad != NULL;  /* all of it */
        if (rc == OK && !foreign)
            rc = input->jsonl ? read_line(r, out) : r->records ? OK : read_text(r, out);
        if (rc != OK && rc != ERR_DATA) return rc;

        const int ended = foreign || rc == ERR_DATA || (!out->raw && !out->bad);
        if (rc == ERR_DATA) {  /* the rest of the file is lost, and the line that it cuts */
            out->bytes = r->place.offset - out->begin.offset + r->end - r->at +
                         source_left(r->source);
            out->bad = mem_format("%s:%lld: %s; %s%lld bytes of text are lost", input->path,
                                  (long long)r->place.line + 1, source_why(r->source),
                                  input->size < 0 ? "at least " : "about ", (long long)out->bytes);
        } else if (ended && !foreign && r->records == 0) {
            out->bad = mem_format("%s:1: %s", input->path,
                                  r->place.offset ? "no document in it" : "empty file");
        }
        out->rest = ended;
        if (ended) next_file(r);
        rc = OK;
        out->next = r->place;
        if (out->raw || out->bad) return OK;
    }
    *more = 0;
    return OK;
}
