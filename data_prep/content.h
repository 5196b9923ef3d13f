/* SPDX-License-Identifier: Apache-2.0 */
/* content.h -- the decompressed bytes of one input after another, in a buffer, and the place in
 * them.  Formats (format.h) read documents from it. */
#ifndef CONTENT_H
#define CONTENT_H

#include <stdint.h>

#include "src/data/data_index.h"

struct record;
struct source;

struct content {
    struct source    *source;   /* NULL: the file at `place` is not open yet */
    struct data_place place;    /* of the next unread byte                   */
    char             *buffer;   /* [at, end) was read from the source        */
    int64_t           at, end, room;
    int               eof;      /* nothing follows the buffer                */
    int64_t           records;  /* of this file so far                       */
    int               form;     /* of a .json file, see format_json.c        */
    const char       *field;    /* column of a table (format_csv.h) ...      */
    int64_t           columns, column;  /* ... and what its header says; 0: not read yet */
    int               told;     /* that a text looks like JSON lines         */
};

/* Local.  from: the first byte that will be read; done() closes the source, too. */
void content_init(struct content *c, struct data_place from);
void content_done(struct content *c);

/* Close the file, and continue at the beginning of the next one.  Local. */
void content_next_file(struct content *c);

/* Read more after `end`; sets eof where nothing follows.  Local.
 * returns  as source_read() */
int content_fill(struct content *c);

/* The next n bytes are a document: copies them to out->raw without a byte order mark.  Local. */
void content_give(const struct content *c, struct record *out, int64_t n);

/* Forget the next n bytes of the buffer.  Local. */
void content_drop(struct content *c, int64_t n);

#endif
