/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/bucket.h"

#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/tiling.h"
#include "src/plan/step_plan.h"

/* Parameters [first, end) of bucket b. */
static void bucket_params(const struct model *m, int b, int *first, int *end)
{
    const int L = m->dims.L;
    if (b == BUCKET_EMBED(L)) {
        *first = m->i_embed;
        *end = m->i_embed + 1;
    } else if (b == BUCKET_HEAD(L)) {
        *first = m->i_norm;
        *end = m->params.count;
    } else {
        *first = block_first(&m->blocks[b]);
        *end = b + 1 < L ? block_first(&m->blocks[b + 1]) : m->i_norm;
    }
}

/* Where each tile of parameters [first, end) begins in the flat array, and one past the last. */
static int64_t *tile_places(const struct model *m, int first, int end, int64_t *count)
{
    int64_t n = 0;
    for (int i = first; i < end; i++) {
        const struct tiling c = tiling_of(m->params.p[i].shape, m->params.p[i].ndim);
        n += tiling_count(&c);
    }
    int64_t *at = mem_new(n + 1, sizeof *at, "tiles"), k = 0, size;
    for (int i = first; i < end; i++) {
        const struct tiling c = tiling_of(m->params.p[i].shape, m->params.p[i].ndim);
        for (int64_t t = 0; t < tiling_count(&c); t++, k++) {
            tiling_at(&c, t, &at[k], &size);
            at[k] += m->params.p[i].offset;
        }
    }
    at[n] = end < m->params.count ? m->params.p[end].offset : m->params.total;
    *count = n;
    return at;
}

void bucket_cut(int64_t *cut, const struct model *m, int bucket, int holders)
{
    int first, end;
    int64_t tiles;

    bucket_params(m, bucket, &first, &end);
    int64_t *at = tile_places(m, first, end, &tiles);
    for (int i = 0; i <= holders; i++) cut[i] = at[part_begin(tiles, holders, i)];
    mem_free(at);
}

int bucket_of(const struct model *m, int i)
{
    const int L = m->dims.L;
    int l = 0;

    if (i == m->i_embed) return BUCKET_EMBED(L);
    if (i >= m->i_norm) return BUCKET_HEAD(L);
    while (l + 1 < L && block_first(&m->blocks[l + 1]) <= i) l++;
    return l;
}
