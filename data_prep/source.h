/* source.h -- bytes of a file or of standard input, decompressed if need be.
 *
 * zstd is read with windows of up to 2 GiB (zstd --long=31), with any number of frames and
 * skippable frames.  A file whose name says nothing is zstd if it begins with one of these.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdint.h>

#include "data_prep/input.h"

#define SOURCE_MAX_WINDOW ((int64_t)1 << 31)  /* bytes of memory for one decoder */

struct source;

/* Open at byte `offset` of the decompressed content.
 * returns OK, ERR_MISSING, ERR_IO; ERR_DATA as source_read() */
int source_open(struct source **out, const struct input *in, int64_t offset);
void source_close(struct source *s);

/* The next bytes, at most `room`; got [out] is 0 at the end.
 * returns OK; ERR_IO and ERR_MEMORY (a window that does not fit), reported; ERR_DATA for damaged
 *         content, not reported: source_why() tells, because the caller may skip it.  All content
 *         before the damage was returned by earlier calls; later calls return the error again. */
int source_read(struct source *s, char *out, int64_t room, int64_t *got);
const char *source_why(const struct source *s);

/* Bytes taken from the file itself, for progress. */
int64_t source_taken(const struct source *s);

/* Bytes of content that follow those that were read, if the caller reads no more: known for a plain
 * file and for a frame that tells its size; else estimated from the part that was read, and 0 for
 * standard input, where nobody knows.  What has been given of a frame with a wrong checksum counts
 * as lost, too. */
int64_t source_left(const struct source *s);

#endif
