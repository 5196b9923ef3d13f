/* SPDX-License-Identifier: Apache-2.0 */
/* decoder.h -- from the bytes of a file to its content.
 *
 *     raw.h  ->  a decoder of the table  ->  source.h
 *
 * To add a compression format, write one pair of files that fills in a struct decoder, and a row in
 * decoder.c.  Everything else follows: endings of names, recognition of what comes through standard
 * input, messages.
 */
#ifndef DECODER_H
#define DECODER_H

#include <stdint.h>

struct raw;

#define DECODER_LOOK 64  /* bytes that `begins` sees, if the file has as many */

struct decoder {
    const char *name;    /* in the table of inputs and in INPUTS: "zstd"          */
    const char *ending;  /* of file names: ".zst"; "": a name tells nothing       */

    /* Does a file begin with p[0, n)?  NULL: it is never recognised by its content. */
    int (*begins)(const char *p, int64_t n);

    /* Begin to decode.  raw: borrowed until close(), nothing of it is used yet.
     * state    [out] what the other functions get; close() accepts NULL
     * returns  OK or ERR_MEMORY, reported */
    int (*open)(void **state, struct raw *raw);
    void (*close)(void *state);

    /* Continue at byte `offset` of the content, right after open().  NULL: what comes before it is
     * decoded and dropped.  returns OK or ERR_IO, reported */
    int (*seek)(void *state, int64_t offset);

    /* The next bytes of the content.
     * got      [out] how many, at most `room` > 0; 0 at the end
     * why      [out] for ERR_DATA, a sentence about the damage, a counted string
     * returns  OK; ERR_IO and ERR_MEMORY, reported; ERR_DATA, not reported, after everything that
     *          comes before the damage was returned */
    int (*read)(void *state, char *out, int64_t room, int64_t *got, char **why);

    /* Bytes of content that follow the `given` ones that read() returned, as far as it is known or
     * can be estimated; those that were given and are doubtful count, too. */
    int64_t (*left)(const void *state, int64_t given);
};

/* Rows of the table; row 0 takes the bytes as they are.  NULL past the last. */
const struct decoder *decoder_row(int i);

/* The number of a row, which INDEX keeps: rows are only appended. */
int decoder_number(const struct decoder *d);

/* By name; NULL if there is none. */
const struct decoder *decoder_of_name(const char *name);

/* The one that a file is for which begins with p[0, n); row 0 if no other one knows it. */
const struct decoder *decoder_of_content(const char *p, int64_t n);

#endif
