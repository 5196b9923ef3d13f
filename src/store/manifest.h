/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h -- the commit point of a checkpoint: one line of JSON and its own
 * hash.
 *
 *     {"attempt":1,"created":...,"files":[...],...,"tensors":[...]}
 *     XXH3-128 0123456789abcdef0123456789abcdef
 *
 * A checkpoint is committed if this file exists and its hash is right, never
 * because of a name.
 */
#ifndef MANIFEST_H
#define MANIFEST_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "src/store/writer.h"

#define MANIFEST_BYTES ((size_t)16 << 20)  /* at most */

struct manifest {
    int64_t             step, attempt;
    int64_t             created;    /* seconds since 1970                     */
    int                 count;      /* tensors                                */
    struct tensor      *tensors;    /* .data is not used                      */
    int                 n_files;
    struct writer_file *files;
    json_t             *scalars, *info;  /* objects                           */
    struct hash         root;
    struct hash         self;       /* of its own text; set by reading it     */
};

/* Root of leaves (sorted in place) and scalars. */
struct hash manifest_root(struct hash *leaves, int64_t n, const json_t *scalars);

/* As text, a counted block of *bytes; NULL with a message if it would be larger than the
 * reader allows, or if a tensor's name is not UTF-8, or comes twice. */
char *manifest_text(size_t *bytes, const struct manifest *m);

/* Text -> manifest; owns what it points to, release with manifest_done().  `path` stands
 * for the file in messages. */
int manifest_parse(struct manifest *m, const char *text, size_t bytes, const char *path);
int manifest_read(struct manifest *m, const char *path);
void manifest_done(struct manifest *m);

#endif
