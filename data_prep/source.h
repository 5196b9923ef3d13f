/* source.h -- bytes of a file or of standard input, decompressed if need be. */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdint.h>

#include "data_prep/input.h"

struct source;

/* Open at byte `offset` of the decompressed content.
 * returns OK, ERR_MISSING, ERR_IO; ERR_DATA as source_read() */
int source_open(struct source **out, const struct input *in, int64_t offset);
void source_close(struct source *s);

/* The next bytes, at most `room`; got [out] is 0 at the end.
 * returns OK; ERR_IO, said; ERR_DATA for damaged content, not said but in
 *         source_why(), because the caller may be told to go on */
int source_read(struct source *s, char *out, int64_t room, int64_t *got);
const char *source_why(const struct source *s);

/* Bytes taken from the file itself, for progress. */
int64_t source_taken(const struct source *s);

#endif
