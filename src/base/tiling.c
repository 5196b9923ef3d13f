/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/tiling.h"

struct tiling tiling_of(const int64_t *shape, int ndim)
{
    struct tiling c = { .entry = 1, .panel = 1, .per_axis = 1, .outer = 1, .length = 1 };

    for (int d = 0; d < ndim; d++) c.entry *= shape[d];
    if (ndim == 0 || c.entry == 0) return c;
    for (; c.axis < ndim; c.axis++) {
        c.length = shape[c.axis];
        c.entry /= c.length;
        if (c.entry <= TILE_ELEMENTS) break;
        c.outer *= c.length;
    }
    c.panel = TILE_ELEMENTS / c.entry < c.length ? TILE_ELEMENTS / c.entry : c.length;
    c.per_axis = (c.length + c.panel - 1) / c.panel;
    return c;
}

int64_t tiling_count(const struct tiling *c) { return c->outer * c->per_axis; }

void tiling_at(const struct tiling *c, int64_t index, int64_t *offset, int64_t *n)
{
    const int64_t first = index % c->per_axis * c->panel, left = c->length - first;
    *offset = (index / c->per_axis * c->length + first) * c->entry;
    *n = (left < c->panel ? left : c->panel) * c->entry;
}
