/* SPDX-License-Identifier: Apache-2.0 */
/* tile.h -- what a tensor is cut into, and how one tile is stored.
 *
 *     tensor (rows, columns ...)        record in a writer file
 *     +-----------------------+
 *     | tile 0: rows 0..k-1   |         | header 552 B | payload: zstd(planes(raw)) |
 *     +-----------------------+
 *     | tile 1: rows k..2k-1  |         header = identity, codec, filter, stored bytes,
 *     +-----------------------+                  leaf, payload hash, hash of the header
 *
 * Tiles are logical: the cutting (base/tiling.h) is a function of shape alone, never of
 * ranks.  The leaf is the hash of identity and raw bytes, taken from memory
 * before anything is compressed; leaves and scalars fold to the state root.
 */
#ifndef TILE_H
#define TILE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/hash.h"
#include "src/base/tiling.h"
#include "src/store/tensor.h"

#define TILE_BYTES (TILE_ELEMENTS * 8)  /* raw, at most */
#define TILE_HEAD 552

/* A box of a tensor that is contiguous in memory. */
struct tile {
    int64_t index;                /* 0 .. tile_count() - 1, in memory order */
    int64_t offset, bytes;        /* in the tensor                          */
    int64_t origin[TENSOR_DIMS], extent[TENSOR_DIMS];
};

/* At least 1: a tensor without elements has one empty tile, so that its name is part of
 * the root. */
int64_t tile_count(const struct tensor *t);
struct tile tile_at(const struct tensor *t, int64_t index);

/* Raw bytes of the largest tile: what buffers must hold. */
int64_t tile_room(const struct tensor *t);

/* Hash of a tile's identity (name, dtype, shape, place) and its raw bytes. */
struct hash tile_leaf(const struct tensor *t, const struct tile *tile, const void *raw);

/* Buffers and compressor of one thread; room as from tile_room(). */
struct tile_codec;
struct tile_codec *tile_codec_new(int64_t room);
void tile_codec_free(struct tile_codec *c);

/* A tile as it is stored. */
struct packed_tile {
    unsigned char head[TILE_HEAD];
    const void   *payload;   /* the tile's raw bytes, or in the codec: good until its next use */
    int64_t       stored;    /* bytes of payload          */
    struct hash   leaf;
};

/* Pack the tile whose bytes are `raw`, with a level of zstd.  Local. */
void tile_pack(struct packed_tile *out, struct tile_codec *c, const struct tensor *t,
               const struct tile *tile, const void *raw, int level);

/* Record -> raw bytes of the tile, everything proved: the header by its hash, that it is
 * this tile, payload hash, size, leaf.  stored, leaf: what the index says.
 * returns NULL, or what is wrong */
const char *tile_unpack(struct tile_codec *c, void *raw, const unsigned char *head,
                        const void *payload, int64_t stored, struct hash leaf,
                        const struct tensor *t, const struct tile *tile);

/* Where a reader may put a payload before tile_unpack(): room bytes of the codec. */
void *tile_payload(struct tile_codec *c);

#endif
