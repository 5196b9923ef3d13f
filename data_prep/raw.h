/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h -- the bytes of a file or of standard input, as they are stored.
 *
 *     bytes:  ... | at  unread  end | ...        taken: bytes that were read from the file
 *
 * Decoders (decoder.h) look at the unread bytes, and move `at` past those that they have used.
 */
#ifndef RAW_H
#define RAW_H

#include <stdint.h>

#define RAW_ROOM ((int64_t)1 << 20)  /* bytes in memory */

struct raw {
    const char *path;     /* "-": standard input          */
    int         fd, eof;
    int64_t     size;     /* of the file; -1: not known   */
    int64_t     taken;    /* bytes read from it           */
    char       *bytes;    /* [at, end) is unread          */
    int64_t     at, end;
};

/* Open a file, or standard input for "-".  Local.
 *
 * path     borrowed until raw_close()
 * returns  OK, ERR_MISSING or ERR_IO, reported; release with raw_close() either way */
int raw_open(struct raw *r, const char *path);
void raw_close(struct raw *r);

/* Continue at byte `offset` of the file, of which nothing was read yet.  Local.
 * returns  OK or ERR_IO, reported */
int raw_seek(struct raw *r, int64_t offset);

/* Read until `want` <= RAW_ROOM bytes are unread or the file ends; a pipe may bring them one by
 * one.  Local.
 * returns  OK or ERR_IO, reported */
int raw_fill(struct raw *r, int64_t want);

/* Take the next bytes, at most `room`.  Local.
 *
 * got      [out] how many; 0 at the end of the file
 * returns  OK or ERR_IO, reported */
int raw_read(struct raw *r, char *out, int64_t room, int64_t *got);

/* An estimate of the content that follows, where `given` bytes of it came from what is read: 0 for
 * standard input.  Local. */
int64_t raw_left(const struct raw *r, int64_t given);

/* Where the next unread byte is in the file.  Local. */
int64_t raw_place(const struct raw *r);

#endif
