/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/content.h"

#include <string.h>

#include "data_prep/record.h"
#include "data_prep/source.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

#define STEP ((int64_t)1 << 20)  /* bytes that are asked for at least */

void content_init(struct content *c, struct data_place from)
{
    *c = (struct content){ .place = from, .room = 2 * STEP };
    c->buffer = mem_new(c->room, 1, "input buffer");
}

void content_done(struct content *c)
{
    source_close(c->source);
    mem_free(c->buffer);
}

void content_next_file(struct content *c)
{
    source_close(c->source);
    c->source = NULL;
    c->at = c->end = c->records = 0;
    c->eof = c->form = 0;
    c->columns = 0;
    c->place = (struct data_place){ .file = c->place.file + 1 };
}

int content_fill(struct content *c)
{
    int64_t got = 0;
    if (c->at > 0) {
        memmove(c->buffer, c->buffer + c->at, (size_t)(c->end - c->at));
        c->end -= c->at;
        c->at = 0;
    }
    if (c->room - c->end < STEP) {
        c->room = 2 * c->end + 2 * STEP;
        c->buffer = mem_resize(c->buffer, c->room, 1, "input buffer");
    }
    const int rc = source_read(c->source, c->buffer + c->end, c->room - c->end, &got);
    c->end += got;
    c->eof = rc == OK && got == 0;
    return rc;
}

void content_give(const struct content *c, struct record *out, int64_t n)
{
    const char *begin = c->buffer + c->at;
    out->mark = utf8_mark(begin, n);
    out->n = n - out->mark;
    out->raw = memcpy(mem_new(out->n + 1, 1, "document"), begin + out->mark, (size_t)out->n);
}

void content_drop(struct content *c, int64_t n)
{
    c->at += n;
    c->place.offset += n;
}
