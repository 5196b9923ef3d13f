/* SPDX-License-Identifier: Apache-2.0 */
/* writer.h -- writer files w000.ttc, ...: records of tiles, then their index.
 *
 *     | head | payload | head | payload | ... | entry | entry | ... |
 *       record 0         record 1               index, 48 bytes each
 *
 * The MANIFEST holds size and hash of the index, the index place and leaf of
 * every record, a record's header the hash of its payload: no byte of a file
 * is left uncovered, and a file of another checkpoint never fits.
 */
#ifndef WRITER_H
#define WRITER_H

#include <stdint.h>

#include "src/base/hash.h"
#include "src/store/ckpt.h"
#include "src/store/tensor.h"

#define WRITER_NAME 24
#define WRITER_ENTRY 48     /* bytes of an index entry */

/* Where a tile is. */
struct place {
    int64_t     tensor, tile;    /* numbers: of the tensor table, and in the tensor */
    int64_t     offset, stored;  /* of the header; bytes of the payload             */
    struct hash leaf;
    int         file;            /* not stored: the index that the entry was in     */
    void       *raw;             /* not stored: the tile in memory                  */
};

/* A writer file as the MANIFEST names it. */
struct writer_file {
    char        name[WRITER_NAME];
    int64_t     bytes, tiles;
    struct hash index;
};

/* "w000.ttc" */
void writer_name(char name[WRITER_NAME], int number);

/* Write the tiles of all tensors into the new file `path`, compressed by all threads,
 * in order, made durable.  places (tile count, caller's) and f [out]. */
int writer_save(struct writer_file *f, struct place *places, int64_t n, const char *path,
                const struct tensor *tensors, int level);

/* The index of an open file -> places[0, f->tiles), its hash, and that records follow one
 * another without a gap.  ERR_DATA with a message. */
int writer_index(struct place *places, const struct writer_file *f, int fd, const char *path);

#endif
