/* SPDX-License-Identifier: Apache-2.0 */
/* record.h -- one document as it is in an input, before its text is taken from it. */
#ifndef RECORD_H
#define RECORD_H

#include <stdint.h>

#include "src/data/data_index.h"

#define MAX_DOCUMENT ((int64_t)1 << 30)  /* bytes */

struct input;

struct record {
    const struct input *input;
    struct data_place   begin, next;  /* where it begins, where the one after it does    */
    int64_t             line;         /* from 1; of a text: 1                            */
    char               *raw;          /* the file or the line: a counted block           */
    int64_t             n;
    int64_t             mark;         /* bytes of a byte order mark before raw: dropped  */
    int64_t             bytes;        /* of the content that it is, or that is lost with it:
                                         for a file that can't be read to its end estimated */
    int                 rest;         /* bad, and all that follows in its file is lost   */
    int                 repeats;      /* how often the field was there once more         */
    char               *bad;          /* "file:line: what is wrong", counted, or NULL    */
};

/* Make it a bad one: "file:line: why".  Local.
 *
 * why      a counted string, which this releases */
void record_spoil(struct record *r, char *why, int64_t line);

#endif
