/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/reader.h"

#include <string.h>

#include "data_prep/content.h"
#include "data_prep/format.h"
#include "data_prep/source.h"
#include "src/base/encoding.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct reader {
    const struct inputs *in;
    struct content       c;       /* of the file at c.place      */
    int64_t              taken;   /* bytes of the files before   */
    struct data_place    from;    /* documents before it are not asked for */
};

struct reader *reader_new(const struct inputs *in, struct data_place from)
{
    struct reader *r = mem_new(1, sizeof *r, "reader");
    r->in = in;
    r->from = from;
    content_init(&r->c, from);
    r->c.field = in->field;
    for (int64_t i = 0; i < from.file && i < in->n; i++)
        if (in->v[i].size > 0) r->taken += in->v[i].size;
    return r;
}

void reader_free(struct reader *r)
{
    if (!r) return;
    content_done(&r->c);
    mem_free(r);
}

int64_t reader_taken(const struct reader *r)
{
    return r->taken + (r->c.source ? source_taken(r->c.source) : 0);
}

/* Open a file and look at its beginning: a file that is certainly not UTF-8 is bad as a whole. */
static int begin_file(struct reader *r, struct record *out)
{
    struct content *c = &r->c;

    if (out->input->format->restart) {
        c->place = (struct data_place){ .file = c->place.file };
        out->begin = c->place;
    }
    int rc = source_open(&c->source, out->input, c->place.offset);

    c->records = c->place.offset > 0;  /* it was begun before, and there was one */
    if (rc != OK || c->records) return rc;
    while (rc == OK && c->end < ENCODING_LOOK && !c->eof) rc = content_fill(c);
    if (rc == ERR_DATA) rc = OK;  /* it comes again after the good part */
    const struct encoding *e = encoding_of(c->buffer, c->end);
    if (rc != OK || !e) return rc;
    char *found = encoding_sentence(e, out->input->size < 0);
    out->bad = mem_format("%s:1: expected UTF-8, %s", out->input->path, found);
    out->bytes = c->end + source_left(c->source);
    mem_free(found);
    return OK;
}

/* Was it read by the command that this one resumes? */
static int is_before(const struct reader *r, const struct record *x)
{
    return x->begin.file == r->from.file && x->begin.offset < r->from.offset;
}

int reader_next(struct reader *r, struct record *out, int *more)
{
    struct content *c = &r->c;
    int rc = OK;

    *more = 1;
    while (c->place.file < r->in->n) {
        const struct input *input = r->in->v + c->place.file;
        *out = (struct record){ .input = input, .begin = c->place };
        if (!c->source) rc = begin_file(r, out);
        const int foreign = out->bad != NULL;  /* all of it */
        if (rc == OK && !foreign) rc = input->format->next(c, out);
        if (rc != OK && rc != ERR_DATA) return rc;

        const int ended = foreign || rc == ERR_DATA || out->rest || (!out->raw && !out->bad);
        if (rc == ERR_DATA) {  /* the rest of the file is lost, and the line that it cuts */
            out->bytes = c->place.offset - out->begin.offset + c->end - c->at +
                         source_left(c->source);
            out->bad = mem_format("%s:%lld: %s; %s%lld bytes of text are lost", input->path,
                                  (long long)c->place.line + 1, source_why(c->source),
                                  input->size < 0 ? "at least " : "about ", (long long)out->bytes);
        } else if (out->rest) {
            out->bytes = c->place.offset - out->begin.offset + c->end - c->at +
                         source_left(c->source);
        } else if (ended && !foreign && c->records == 0) {
            out->bad = mem_format("%s:1: %s", input->path,
                                  c->place.offset ? "no document in it" : "empty file");
        }
        out->rest = ended;
        if (ended) {
            if (input->size > 0) r->taken += input->size;
            content_next_file(c);
        }
        rc = OK;
        out->next = c->place;
        if ((out->raw || out->bad) && !is_before(r, out)) return OK;
        mem_free(out->raw);
        mem_free(out->bad);
    }
    *more = 0;
    return OK;
}
