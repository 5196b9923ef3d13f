/* reader.h -- raw documents, one after another, from all inputs.
 *
 * A byte order mark at the beginning of a text or of a JSON line is dropped.
 *
 * What is wrong with an input is part of the sequence: a record with `bad` set,
 * so that whoever takes the records in order decides whether to stop. */
#ifndef READER_H
#define READER_H

#include <stdint.h>

#include "data_prep/input.h"
#include "src/data/data_index.h"

#define MAX_DOCUMENT ((int64_t)1 << 30)  /* bytes */

struct record {
    const struct input *input;
    struct data_place   begin, next;  /* where it starts, where the one behind it does   */
    int64_t             line;         /* of a .jsonl, from 1                             */
    char               *raw;          /* the file or the line: a counted block           */
    int64_t             n;
    int64_t             mark;         /* bytes of a byte order mark before raw: dropped  */
    int64_t             bytes;        /* of the content that it is, or that is lost with it:
                                         for a file that can't be read to its end estimated */
    int                 rest;         /* bad, and all that follows in its file is lost   */
    int                 repeats;      /* how often the field was there once more         */
    char               *bad;          /* "file:line: what is wrong", counted, or NULL    */
};

struct reader;

/* Begin at a place that a record's `next` named; all zero is the start. */
struct reader *reader_new(const struct inputs *in, struct data_place from);
void reader_free(struct reader *r);

/* The next record; raw and bad belong to the caller.  more [out] is 0 behind the
 * last.  returns OK or ERR_IO, ERR_MISSING (said). */
int reader_next(struct reader *r, struct record *out, int *more);

/* Bytes of files read so far, for progress. */
int64_t reader_taken(const struct reader *r);

#endif
