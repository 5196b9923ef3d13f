/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.h -- compressed streams and archives, through libarchive.
 *
 *     pull()  ->  libarchive  ->  unpack_next() names a member, unpack_read() gives its bytes
 *
 * A compressed stream has one member without a name.  A build without libarchive (ARCHIVE=no) has
 * the same functions, which report that (unpack_none.c).
 */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdint.h>

enum unpack_kind { UNPACK_XZ, UNPACK_BZIP2, UNPACK_LZ4 };

/* The next bytes of what is unpacked.
 *
 * p, n     [out] valid until the next call; n is 0 at the end
 * why      [out] as unpack_read()
 * returns  OK; ERR_IO or ERR_MEMORY, reported; ERR_DATA */
typedef int (*unpack_pull)(void *arg, const char **p, int64_t *n, char **why);

struct unpack;

/* Begin; nothing is pulled yet.  Local.
 *
 * path     for messages, borrowed
 * returns  OK; ERR_MEMORY or ERR_CONFIG (a build without libarchive), reported; release with
 *          unpack_close() either way */
int unpack_open(struct unpack **out, enum unpack_kind kind, const char *path, unpack_pull pull,
                void *arg);
void unpack_close(struct unpack *u);

/* The next bytes.  Local.
 *
 * got      [out] how many, at most `room` > 0; 0 at the end
 * why      [out] for ERR_DATA, what is wrong, a counted string
 * returns  OK; ERR_IO or ERR_MEMORY, reported; ERR_DATA for damage, not reported */
int unpack_read(struct unpack *u, char *out, int64_t room, int64_t *got, char **why);

#endif
