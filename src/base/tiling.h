/* SPDX-License-Identifier: Apache-2.0 */
/* tiling.h -- how an array is cut into tiles: the one formula.
 *
 * A tile is the unit that a checkpoint hashes and stores as one record, and in which the sharded
 * (ZeRO-1) optimizer divides its state, so that every process writes exactly what it owns.  How an
 * array is cut depends only on its shape, never on ranks, and is part of the file format.
 *
 * Each entry of the leading axes is cut by itself while it has more than TILE_ELEMENTS elements.
 * The first axis with smaller entries is cut into panels of as many entries as fit; the axes after
 * it are not cut.
 */
#ifndef TILING_H
#define TILING_H

#include <stdint.h>

#define TILE_ELEMENTS ((int64_t)65536)

struct tiling {
    int     axis;              /* the one that is cut into panels                */
    int64_t entry;             /* elements of one entry of it                    */
    int64_t panel;             /* entries of a panel; the last may have fewer    */
    int64_t per_axis, outer;   /* panels of the axis; entries of all axes before */
    int64_t length;            /* entries of the axis                            */
};

/* shape (ndim); an array without elements, or with ndim 0, is one tile. */
struct tiling tiling_of(const int64_t *shape, int ndim);

/* Tiles, at least 1. */
int64_t tiling_count(const struct tiling *c);

/* Elements [offset, offset + n) are tile `index`, 0 <= index < count, in memory order. */
void tiling_at(const struct tiling *c, int64_t index, int64_t *offset, int64_t *n);

#endif
