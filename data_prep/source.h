/* SPDX-License-Identifier: Apache-2.0 */
/* source.h -- the content of a file or of standard input, decompressed if need be.
 *
 * Where the input does not say how it is compressed, its first bytes do (decoder.h).
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdint.h>

#include "data_prep/input.h"

struct source;

/* Open at byte `offset` of the decompressed content.  Local.
 *
 * returns  OK; ERR_MISSING, ERR_IO or ERR_MEMORY, reported; ERR_DATA as source_read().  Release
 *          with source_close() either way */
int source_open(struct source **out, const struct input *in, int64_t offset);
void source_close(struct source *s);

/* Read the next bytes.  Local.
 *
 * got      [out] how many, at most `room`; 0 at the end
 * returns  OK; ERR_IO and ERR_MEMORY (a window that does not fit), reported; ERR_DATA for damaged
 *          content, not reported because the caller may skip it: source_why() describes it.  All
 *          content before the damage was returned by earlier calls; later calls return the error
 *          again */
int source_read(struct source *s, char *out, int64_t room, int64_t *got);
const char *source_why(const struct source *s);

/* Bytes taken from the file itself, for progress. */
int64_t source_taken(const struct source *s);

/* Bytes of content that are lost if the caller reads no more: known for a plain file and for a
 * frame that tells its size; else estimated from the part that was read, and 0 for standard
 * input, whose length nobody knows.  What was returned of a frame with a wrong checksum counts,
 * too. */
int64_t source_left(const struct source *s);

#endif
