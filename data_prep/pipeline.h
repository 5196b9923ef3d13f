/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.h -- documents from all inputs, in order, read, checked and encoded
 * by several threads.
 *
 *     step      k-1       k        k+1      k+2
 *     batch 7   read      text     encode   take      one thread reads, one takes,
 *     batch 8             read     text     encode    all the others share text and
 *     batch 9                      read     text      encode; a long document is
 *                                                     cut into chunks
 *
 * take() sees every document in the order of the inputs, so the result does not
 * depend on the number of threads.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdint.h>

#include "data_prep/reader.h"
#include "src/data/token.h"

/* A part of a document and its ids. */
struct chunk { int64_t doc, from, to; int32_t *ids; int64_t count; struct hidden hidden; };

struct doc {
    struct record r;       /* raw is the text                        */
    int           choice;  /* what choose() returned; -1: not wanted */
    struct chunk *chunks;  /* one after another; none when not encoded */
    int64_t       chunk_n;
};

struct pipeline {
    const struct inputs    *in;
    struct data_place       from;
    const char             *field;      /* of a JSON line: json_field.h        */
    int                     threads;
    int                     skip_bad;   /* else the first bad one ends the run */
    int                     silent;     /* another pass names the skipped ones */
    const struct tokenizer *tokenizer;  /* NULL: text only                     */
    const char             *what;       /* for progress: "prep"                */
    /* Is a document wanted?  Returns -1 if not, else any number.  Called by any thread. */
    int (*choose)(void *arg, const struct record *r);
    /* Gets every wanted document, in order.  It may keep the text by setting raw to NULL. */
    int (*take)(void *arg, struct doc *d);
    void                   *arg;
    /* [in,out] what was skipped and read so far; at take(), up to its document. */
    struct data_skipped     skipped;
};

/* Read, check and encode all documents.  Local.
 *
 * returns  OK; ERR_DATA for bad input, reported with file and line; a status that take() returned
 *           */
int pipeline_run(struct pipeline *p);

#endif
