/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/tile.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "src/base/bytes.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/tiling.h"
#include "src/store/shuffle.h"

/* Places in the header.  [0, AT_CODEC) is the tile's identity. */
enum {
    AT_MAGIC = 0, AT_NAME = 8, AT_DTYPE = AT_NAME + TENSOR_NAME, AT_NDIM = AT_DTYPE + 8,
    AT_INDEX = AT_NDIM + 8, AT_RAW = AT_INDEX + 8, AT_SHAPE = AT_RAW + 8,
    AT_ORIGIN = AT_SHAPE + 8 * TENSOR_DIMS, AT_EXTENT = AT_ORIGIN + 8 * TENSOR_DIMS,
    AT_CODEC = AT_EXTENT + 8 * TENSOR_DIMS, AT_FILTER = AT_CODEC + 4, AT_STORED = AT_FILTER + 4,
    AT_LEAF = AT_STORED + 8, AT_PAYLOAD = AT_LEAF + 16, AT_HASH = AT_PAYLOAD + 16
};
_Static_assert(AT_HASH + 16 == TILE_HEAD, "the header has no gap");

static const char magic[8] = "TTCTILE1";

enum codec { CODEC_RAW, CODEC_ZSTD };
enum filter { FILTER_NONE, FILTER_PLANES };

struct tile_codec {
    int64_t    room;
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
    void      *planes, *payload;  /* (room) each */
};

int64_t tile_count(const struct tensor *t)
{
    const struct tiling c = tiling_of(t->shape, t->ndim);
    return tiling_count(&c);
}

int64_t tile_room(const struct tensor *t)
{
    const int64_t n = tensor_n(t);
    return (n < TILE_ELEMENTS ? n : TILE_ELEMENTS) * dtype_bytes(t->dtype);
}

struct tile tile_at(const struct tensor *t, int64_t index)
{
    const struct tiling c = tiling_of(t->shape, t->ndim);
    const int size = dtype_bytes(t->dtype);
    struct tile tile = { .index = index };
    int64_t n, outer = index / c.per_axis;

    tiling_at(&c, index, &tile.offset, &n);
    tile.offset *= size;
    tile.bytes = n * size;
    for (int d = 0; d < t->ndim; d++) tile.extent[d] = t->shape[d];
    if (t->ndim == 0 || n == 0) return tile;
    tile.origin[c.axis] = index % c.per_axis * c.panel;
    tile.extent[c.axis] = n / c.entry;
    for (int d = c.axis - 1; d >= 0; d--) {
        tile.origin[d] = outer % t->shape[d];
        tile.extent[d] = 1;
        outer /= t->shape[d];
    }
    return tile;
}

static void put_identity(unsigned char head[AT_CODEC], const struct tensor *t,
                         const struct tile *tile)
{
    memset(head, 0, AT_CODEC);
    memcpy(head + AT_MAGIC, magic, sizeof magic);
    snprintf((char *)head + AT_NAME, TENSOR_NAME, "%s", t->name);
    snprintf((char *)head + AT_DTYPE, 8, "%s", dtype_name(t->dtype));
    put_u64(head + AT_NDIM, (uint64_t)t->ndim);
    put_u64(head + AT_INDEX, (uint64_t)tile->index);
    put_u64(head + AT_RAW, (uint64_t)tile->bytes);
    for (int d = 0; d < t->ndim; d++) {
        put_u64(head + AT_SHAPE + 8 * d, (uint64_t)t->shape[d]);
        put_u64(head + AT_ORIGIN + 8 * d, (uint64_t)tile->origin[d]);
        put_u64(head + AT_EXTENT + 8 * d, (uint64_t)tile->extent[d]);
    }
}

static struct hash leaf_of(const unsigned char *identity, const void *raw, int64_t bytes)
{
    struct hasher *h = hasher_new();
    hasher_add(h, identity, AT_CODEC);
    hasher_add(h, raw, (size_t)bytes);
    const struct hash leaf = hasher_get(h);
    hasher_free(h);
    return leaf;
}

struct hash tile_leaf(const struct tensor *t, const struct tile *tile, const void *raw)
{
    unsigned char identity[AT_CODEC];
    put_identity(identity, t, tile);
    return leaf_of(identity, raw, tile->bytes);
}

struct tile_codec *tile_codec_new(int64_t room)
{
    struct tile_codec *c = mem_new(1, sizeof *c, "tile codec");
    c->room = room;
    c->planes = mem_new(room, 1, "tile planes");
    c->payload = mem_new(room, 1, "tile payload");
    c->pack = ZSTD_createCCtx();
    c->unpack = ZSTD_createDCtx();
    if (!c->pack || !c->unpack) leave(fail(ERR_MEMORY, "out of memory: zstd contexts"));
    return c;
}

void tile_codec_free(struct tile_codec *c)
{
    if (!c) return;
    ZSTD_freeCCtx(c->pack);
    ZSTD_freeDCtx(c->unpack);
    mem_free(c->planes);
    mem_free(c->payload);
    mem_free(c);
}

void *tile_payload(struct tile_codec *c) { return c->payload; }

void tile_pack(struct packed_tile *out, struct tile_codec *c, const struct tensor *t,
               const struct tile *tile, const void *raw, int level)
{
    const int size = dtype_bytes(t->dtype);
    unsigned char *head = out->head;

    check(tile->bytes <= c->room);
    if (tile->bytes == 0) raw = "";
    put_identity(head, t, tile);
    out->leaf = leaf_of(head, raw, tile->bytes);

    shuffle(c->planes, raw, tile->bytes / size, size);
    ZSTD_CCtx_setParameter(c->pack, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(c->pack, ZSTD_c_checksumFlag, 1);
    /* The result must be smaller than the tile, else there is no room: then it is stored raw. */
    const size_t n = tile->bytes ? ZSTD_compress2(c->pack, c->payload, (size_t)tile->bytes - 1,
                                                  c->planes, (size_t)tile->bytes) : 0;
    const int packed = tile->bytes && !ZSTD_isError(n);
    out->payload = packed ? c->payload : raw;
    out->stored = packed ? (int64_t)n : tile->bytes;

    put_u32(head + AT_CODEC, packed ? CODEC_ZSTD : CODEC_RAW);
    put_u32(head + AT_FILTER, packed ? FILTER_PLANES : FILTER_NONE);
    put_u64(head + AT_STORED, (uint64_t)out->stored);
    hash_store(head + AT_LEAF, out->leaf);
    hash_store(head + AT_PAYLOAD, hash_bytes(out->payload, (size_t)out->stored));
    hash_store(head + AT_HASH, hash_bytes(head, AT_HASH));
}

/* One zstd frame of exactly this content, with nothing after it. */
static int decompress(struct tile_codec *c, void *dst, int64_t bytes, const void *src,
                      int64_t stored)
{
    if (ZSTD_getFrameContentSize(src, (size_t)stored) != (unsigned long long)bytes) return 0;
    if (ZSTD_findFrameCompressedSize(src, (size_t)stored) != (size_t)stored) return 0;
    return ZSTD_decompressDCtx(c->unpack, dst, (size_t)bytes, src, (size_t)stored) ==
           (size_t)bytes;
}

const char *tile_unpack(struct tile_codec *c, void *raw, const unsigned char *head,
                        const void *payload, int64_t stored, struct hash leaf,
                        const struct tensor *t, const struct tile *tile)
{
    unsigned char identity[AT_CODEC];
    const uint32_t codec = get_u32(head + AT_CODEC), filter = get_u32(head + AT_FILTER);
    const int size = dtype_bytes(t->dtype);

    if (!hash_equal(hash_bytes(head, AT_HASH), hash_load(head + AT_HASH)))
        return "its header is damaged";
    put_identity(identity, t, tile);
    if (memcmp(identity, head, AT_CODEC) != 0) return "the record there is another tile";
    if (get_u64(head + AT_STORED) != (uint64_t)stored || stored > tile->bytes ||
        tile->bytes > c->room || !hash_equal(hash_load(head + AT_LEAF), leaf))
        return "its header and the index differ";
    if (!hash_equal(hash_bytes(payload, (size_t)stored), hash_load(head + AT_PAYLOAD)))
        return "its data is damaged";

    if (codec == CODEC_RAW && filter == FILTER_NONE && stored == tile->bytes) {
        if (stored) memcpy(raw, payload, (size_t)stored);
    } else if (codec == CODEC_ZSTD && filter == FILTER_PLANES) {
        if (!decompress(c, c->planes, tile->bytes, payload, stored))
            return "its data is not one zstd frame of the size of the tile";
        unshuffle(raw, c->planes, tile->bytes / size, size);
    } else {
        return "its codec or filter is unknown";
    }
    if (!hash_equal(leaf_of(identity, raw, tile->bytes), leaf))
        return "its content is not what was saved";
    return NULL;
}
