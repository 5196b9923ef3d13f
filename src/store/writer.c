/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/writer.h"

#include <stdio.h>

#include "src/base/bytes.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/tile.h"

void writer_name(char name[WRITER_NAME], int number)
{
    snprintf(name, WRITER_NAME, "w%03d.ttc", number);
}

static void put_entry(unsigned char *e, const struct place *p)
{
    put_u64(e, (uint64_t)p->tensor);
    put_u64(e + 8, (uint64_t)p->tile);
    put_u64(e + 16, (uint64_t)p->offset);
    put_u64(e + 24, (uint64_t)p->stored);
    hash_store(e + 32, p->leaf);
}

static void get_entry(struct place *p, const unsigned char *e)
{
    p->tensor = (int64_t)get_u64(e);
    p->tile = (int64_t)get_u64(e + 8);
    p->offset = (int64_t)get_u64(e + 16);
    p->stored = (int64_t)get_u64(e + 24);
    p->leaf = hash_load(e + 32);
}

/* Every thread packs tiles into its own buffers; they are written in turn, so the file does
 * not depend on the number of threads. */
static int write_records(int fd, int64_t *end, struct place *places, int64_t n, const char *path,
                         const struct tensor *tensors, int level)
{
    int64_t room = 0, offset = 0;
    int rc = OK;

    for (int64_t k = 0; k < n; k++) {
        const int64_t r = tile_room(&tensors[places[k].tensor]);
        if (r > room) room = r;
    }
    #pragma omp parallel
    {
        struct tile_codec *codec = tile_codec_new(room);
        #pragma omp for ordered schedule(static, 1)
        for (int64_t k = 0; k < n; k++) {
            const struct tensor *t = &tensors[places[k].tensor];
            const struct tile tile = tile_at(t, places[k].tile);
            struct packed_tile x;
            int before;
            #pragma omp atomic read
            before = rc;
            if (before == OK) {
                tile_pack(&x, codec, t, &tile, places[k].raw, level);
                places[k].stored = x.stored;
                places[k].leaf = x.leaf;
            }
            #pragma omp ordered
            if (before == OK && rc == OK) {
                places[k].offset = offset;
                offset += TILE_HEAD + places[k].stored;
                int now = FAILPOINT("ckpt.tile");
                if (now == OK) now = file_write(fd, x.head, TILE_HEAD, path);
                if (now == OK) now = file_write(fd, x.payload, (size_t)x.stored, path);
                #pragma omp atomic write
                rc = now;
            }
        }
        tile_codec_free(codec);
    }
    *end = offset;
    return rc;
}

int writer_save(struct writer_file *f, struct place *places, int64_t n, const char *path,
                const struct tensor *tensors, int level)
{
    unsigned char *index = mem_new(n, WRITER_ENTRY, "checkpoint index");
    const size_t index_bytes = (size_t)n * WRITER_ENTRY;
    int fd = -1, rc = OK;

    TRY(file_create(&fd, path));
    rc = write_records(fd, &f->bytes, places, n, path, tensors, level);
    for (int64_t k = 0; k < n; k++) put_entry(index + k * WRITER_ENTRY, &places[k]);
    if (rc == OK) rc = file_write(fd, index, index_bytes, path);
    if (rc == OK) rc = FAILPOINT("ckpt.before_data_fsync");
    if (rc == OK) rc = file_sync_close(fd, path);
    else file_close(fd);
    if (rc == OK) rc = FAILPOINT("ckpt.after_data_fsync");
    f->bytes += (int64_t)index_bytes;
    f->tiles = n;
    f->index = hash_bytes(index, index_bytes);
out:
    mem_free(index);
    return rc;
}

int writer_index(struct place *places, const struct writer_file *f, int fd, const char *path)
{
    const int64_t index_bytes = f->tiles * WRITER_ENTRY, records = f->bytes - index_bytes;
    unsigned char *index = mem_new(f->tiles, WRITER_ENTRY, "checkpoint index");
    int64_t offset = 0;
    int rc = OK;

    TRY(file_read_at(fd, index, (size_t)index_bytes, records, path));
    if (!hash_equal(hash_bytes(index, (size_t)index_bytes), f->index))
        TRY(fail(ERR_DATA, "%s: the index of its tiles is damaged, or of another checkpoint",
                 path));
    for (int64_t k = 0; k < f->tiles; k++) {
        struct place *p = &places[k];
        get_entry(p, index + k * WRITER_ENTRY);
        if (p->offset != offset || p->stored < 0 || p->stored > TILE_BYTES ||
            p->offset + TILE_HEAD + p->stored > records)
            TRY(fail(ERR_DATA, "%s: index entry %lld points outside of the records", path,
                     (long long)k));
        offset += TILE_HEAD + p->stored;
    }
    if (offset != records)
        TRY(fail(ERR_DATA, "%s: %lld bytes between records and index", path,
                 (long long)(records - offset)));
out:
    mem_free(index);
    return rc;
}
