/* SPDX-License-Identifier: Apache-2.0 */
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
#include "data_prep/record.h"

struct reader;

/* Begin at a place that a record's `next` named; all zero is the start.  Local. */
struct reader *reader_new(const struct inputs *in, struct data_place from);
void reader_free(struct reader *r);

/* The next record.
 *
 * out      [out] raw and bad belong to the caller
 * more     [out] 0 after the last one
 * returns  OK; ERR_IO, ERR_MISSING or ERR_MEMORY, reported */
int reader_next(struct reader *r, struct record *out, int *more);

/* Bytes of files read so far, for progress. */
int64_t reader_taken(const struct reader *r);

#endif
