/* SPDX-License-Identifier: Apache-2.0 */
/* encoding.h -- recognise text that is not UTF-8.
 *
 * "Invalid UTF-8 at byte 1" does not tell a user that a file is UTF-16, Latin-1 or compressed.
 * Here such content is named, with the command that converts it to UTF-8.  Every place that reads
 * text of users drops a byte order mark of UTF-8 with utf8_mark() (utf8.h); whole files are read
 * with text_file_read() (text_file.h), which does both.
 */
#ifndef ENCODING_H
#define ENCODING_H

#include <stdint.h>

struct encoding {
    const char *name;     /* "UTF-16 text (little-endian)"                             */
    const char *command;  /* a filter that makes UTF-8 of it, or NULL                  */
    int         guess;    /* 1: it may be another one that looks like it               */
};

/* Bytes from the beginning of a file that encoding_of() should get, if there are as many. */
#define ENCODING_LOOK ((int64_t)4096)

/* Recognise a file that is certainly not UTF-8 text: UTF-16 and UTF-32 with or without a byte order
 * mark, and compressed files, zstd included, by their magic numbers.  Local.
 *
 * p        the first n >= 0 bytes of the file, after decompression if the caller does that
 * returns  NULL if it may be UTF-8 */
const struct encoding *encoding_of(const char *p, int64_t n);

/* Guess the encoding of a text whose byte p[bad] is the first that is not UTF-8.  Local.
 *
 * returns  NULL for text that is UTF-8 apart from a few damaged places */
const struct encoding *encoding_guess(const char *p, int64_t n, int64_t bad);

/* The compression that the ending of a name stands for: ".gz", ".xz", ".bz2", ".lz4" or ".zip".
 * returns NULL for other names.  Local. */
const struct encoding *encoding_of_name(const char *path);

/* "found UTF-16 text ...; convert it with: iconv ... <OLD >NEW", which follows
 * "FILE: expected UTF-8, " in a message.  A counted string.  Local.
 *
 * piped    the text came through standard input: the command goes before the pipe */
char *encoding_sentence(const struct encoding *e, int piped);

/* "not UTF-8: byte 0xe9 at byte 3 of the file; perhaps Latin-1 text ...": the message about a
 * text whose byte p[bad] is the first that is not UTF-8.  A counted string.  Local.
 *
 * before   bytes of the file, or of what `whole` names, that precede p */
char *encoding_complaint(const char *p, int64_t n, int64_t bad, int64_t before, const char *whole,
                         int piped);

#endif
