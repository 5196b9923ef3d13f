/* tiling.h -- how an array is cut into tiles: the one formula.
 *
 * A tile is what a checkpoint hashes and stores as one record, and what the optimizer's state is
 * shared out by, so that every process writes exactly what it owns.  The cutting is a function
 * of the shape alone: never of ranks, and part of the file format.
 *
 * Leading axes whose entries hold more than TILE_ELEMENTS are walked one by one; the first axis
 * with smaller entries is cut into panels of as many entries as fit; axes behind it are whole.
 */
#ifndef TILING_H
#define TILING_H

#include <stdint.h>

#define TILE_ELEMENTS ((int64_t)65536)

struct tiling {
    int     axis;              /* that is cut into panels                        */
    int64_t entry;             /* elements of one entry of it                    */
    int64_t panel;             /* entries of a panel, but for a last one         */
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
