/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and reading: MANIFEST, then writer files and their indexes, then tiles. */
#include "src/store/ckpt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/store/ckpt_parts.h"
#include "src/store/tile.h"

struct ckpt {
    char           *path;
    struct manifest m;
    json_t         *names;    /* tensor name -> number                         */
    int            *fd;       /* (files)                                       */
    char          **file;     /* (files) paths                                 */
    int64_t        *first;    /* (count + 1) number of a tensor's first tile   */
    struct place   *tiles;    /* (first[count]) by tensor and tile             */
};

/* Number tiles; more than there are index entries is an error before anything is
 * allocated for them. */
static int count_tiles(struct ckpt *c)
{
    int64_t listed = 0;

    for (int i = 0; i < c->m.n_files; i++) listed += c->m.files[i].tiles;
    c->first = mem_new((int64_t)c->m.count + 1, sizeof *c->first, "checkpoint tiles");
    for (int i = 0; i < c->m.count; i++) {
        c->first[i + 1] = c->first[i] + tile_count(&c->m.tensors[i]);
        if (c->first[i + 1] > listed) {
            c->first[c->m.count] = -1;
            break;
        }
        json_object_set_new(c->names, c->m.tensors[i].name, json_integer(i));
    }
    if (c->first[c->m.count] != listed)
        return fail(ERR_DATA, "%s: its files hold %lld tiles, its tensors need another number",
                    c->path, (long long)listed);
    return OK;
}

int ckpt_is_gone(const char *path)
{
    char *manifest = mem_format("%s/MANIFEST", path);
    const int gone = !path_exists(manifest) && errno == ENOENT;
    mem_free(manifest);
    return gone;
}

/* Its run let it go while we looked: first the MANIFEST goes, then the rest. */
static int vanished(const struct ckpt *c)
{
    if (!ckpt_is_gone(c->path)) return OK;
    log_warn("%s: was removed while it was being opened", c->path);
    return ERR_MISSING;
}

static int open_files(struct ckpt *c)
{
    int rc = OK;

    c->fd = mem_new(c->m.n_files, sizeof *c->fd, "checkpoint files");
    c->file = mem_new(c->m.n_files, sizeof *c->file, "checkpoint files");
    for (int i = 0; i < c->m.n_files; i++) c->fd[i] = -1;
    for (int i = 0; i < c->m.n_files; i++) {
        const struct writer_file *f = &c->m.files[i];
        int64_t size = 0;
        c->file[i] = mem_format("%s/%s", c->path, f->name);
        rc = file_open_there(&c->fd[i], &size, c->file[i]);
        if (rc == ERR_MISSING) rc = vanished(c);
        if (rc == OK && c->fd[i] < 0)
            rc = fail(ERR_DATA, "%s: is missing, and its MANIFEST names it", c->file[i]);
        if (rc == OK && size != f->bytes)
            rc = fail(ERR_DATA, "%s: %lld bytes, its MANIFEST says %lld", c->file[i],
                      (long long)size, (long long)f->bytes);
        if (rc != OK) break;
    }
    return rc;
}

/* The indexes of all files, sorted to their tensors; every tile exactly once. */
static int read_indexes(struct ckpt *c)
{
    const int64_t n = c->first[c->m.count];
    struct place *places = NULL;
    int64_t seen = 0;
    int rc = OK;

    c->tiles = mem_new(n, sizeof *c->tiles, "checkpoint tiles");
    for (int64_t k = 0; k < n; k++) c->tiles[k].file = -1;
    for (int i = 0; i < c->m.n_files; i++) {
        const struct writer_file *f = &c->m.files[i];
        mem_free(places);
        places = mem_new(f->tiles, sizeof *places, "checkpoint index");
        TRY(writer_index(places, f, c->fd[i], c->file[i]));
        for (int64_t k = 0; k < f->tiles; k++, seen++) {
            struct place *p = &places[k];
            const int known = p->tensor >= 0 && p->tensor < c->m.count && p->tile >= 0 &&
                              p->tile < c->first[p->tensor + 1] - c->first[p->tensor];
            struct place *to = known ? &c->tiles[c->first[p->tensor] + p->tile] : NULL;
            if (!to || to->file >= 0)
                TRY(fail(ERR_DATA, "%s: index entry %lld is of no tensor, or comes twice",
                         c->file[i], (long long)k));
            *to = *p;
            to->file = i;
        }
    }
out:
    mem_free(places);
    return rc;
}

static int check_root(const struct ckpt *c)
{
    const int64_t n = c->first[c->m.count];
    struct hash *leaves = mem_new(n, sizeof *leaves, "checkpoint root");

    for (int64_t k = 0; k < n; k++) leaves[k] = c->tiles[k].leaf;
    const struct hash root = manifest_root(leaves, n, c->m.scalars);
    mem_free(leaves);
    if (hash_equal(root, c->m.root)) return OK;
    return fail(ERR_DATA, "%s: its tiles and scalars do not give its state root", c->path);
}

/* A stranger's file is no damage, but somebody should know. */
static void warn_of_strangers(const struct ckpt *c)
{
    char **names = NULL;
    int count = 0;

    if (dir_list(&names, &count, c->path) != OK) return;
    for (int i = 0; i < count; i++) {
        int known = !strcmp(names[i], "MANIFEST");
        for (int k = 0; k < c->m.n_files; k++) known |= !strcmp(names[i], c->m.files[k].name);
        if (!known) log_warn("%s/%s: not a file of this checkpoint", c->path, names[i]);
    }
    mem_free(names);
}

int ckpt_open(struct ckpt **out, const char *path)
{
    struct ckpt *c = mem_new(1, sizeof *c, "checkpoint");
    char *manifest = mem_format("%s/MANIFEST", path);
    int rc = OK;

    c->path = mem_string(path);
    c->names = json_object();
    TRY(manifest_read(&c->m, manifest));
    TRY(FAILPOINT("ckpt.opening"));
    TRY(count_tiles(c));
    TRY(open_files(c));
    TRY(read_indexes(c));
    TRY(check_root(c));
    warn_of_strangers(c);
out:
    mem_free(manifest);
    if (rc != OK) {
        ckpt_close(c);
        c = NULL;
    }
    *out = c;
    return rc;
}

void ckpt_close(struct ckpt *c)
{
    if (!c) return;
    for (int i = 0; i < c->m.n_files; i++) {
        if (c->fd) file_close(c->fd[i]);
        if (c->file) mem_free(c->file[i]);
    }
    mem_free(c->fd);
    mem_free(c->file);
    mem_free(c->first);
    mem_free(c->tiles);
    mem_free(c->path);
    json_decref(c->names);
    manifest_done(&c->m);
    mem_free(c);
}

const char *ckpt_path(const struct ckpt *c) { return c->path; }
struct hash ckpt_root(const struct ckpt *c) { return c->m.root; }
struct hash ckpt_proof(const struct ckpt *c) { return c->m.self; }
int64_t ckpt_step(const struct ckpt *c) { return c->m.step; }
int64_t ckpt_attempt(const struct ckpt *c) { return c->m.attempt; }
int64_t ckpt_created(const struct ckpt *c) { return c->m.created; }
const json_t *ckpt_scalars(const struct ckpt *c) { return c->m.scalars; }
const json_t *ckpt_info(const struct ckpt *c) { return c->m.info; }
int ckpt_count(const struct ckpt *c) { return c->m.count; }

int64_t ckpt_bytes(const struct ckpt *c)
{
    int64_t bytes = 0;
    for (int i = 0; i < c->m.n_files; i++) bytes += c->m.files[i].bytes;
    return bytes;
}

const struct tensor *ckpt_tensor(const struct ckpt *c, int i)
{
    check(i >= 0 && i < c->m.count);
    return &c->m.tensors[i];
}

int ckpt_find(const struct ckpt *c, const char *name)
{
    const json_t *i = json_object_get(c->names, name);
    return i ? (int)json_integer_value(i) : -1;
}

/* The tile at a place -> raw (its bytes), proved. */
static int read_tile(const struct ckpt *c, const struct place *p, void *raw,
                     struct tile_codec *codec)
{
    const struct tensor *t = &c->m.tensors[p->tensor];
    const struct tile tile = tile_at(t, p->tile);
    const char *path = c->file[p->file], *wrong = "its header and the index differ";
    unsigned char head[TILE_HEAD];
    void *payload = tile_payload(codec);
    int rc = file_read_at(c->fd[p->file], head, sizeof head, p->offset, path);

    if (rc == OK && p->stored <= tile.bytes) {
        rc = file_read_at(c->fd[p->file], payload, (size_t)p->stored, p->offset + TILE_HEAD, path);
        wrong = tile_unpack(codec, raw, head, payload, p->stored, p->leaf, t, &tile);
    }
    if (rc == OK && wrong)
        rc = fail(ERR_DATA, "%s: byte %lld: tile %lld of tensor '%s': %s", path,
                  (long long)p->offset, (long long)p->tile, t->name, wrong);
    return rc;
}

/* raw NULL: read it and forget it.  Every bad tile is named. */
int ckpt_read_tiles(struct ckpt *c, const struct place *want, int64_t n)
{
    int64_t room = 0;
    int rc = OK;

    for (int64_t k = 0; k < n; k++) {
        const int64_t r = tile_room(&c->m.tensors[want[k].tensor]);
        if (r > room) room = r;
    }
    #pragma omp parallel if (n > 1)
    {
        struct tile_codec *codec = tile_codec_new(room);
        void *sink = mem_new(room, 1, "tile");
        #pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k++) {
            const struct place *p = &c->tiles[c->first[want[k].tensor] + want[k].tile];
            const int now = read_tile(c, p, want[k].raw ? want[k].raw : sink, codec);
            #pragma omp critical
            if (now != OK && rc == OK) rc = now;
        }
        mem_free(sink);
        tile_codec_free(codec);
    }
    return rc;
}

int ckpt_read(struct ckpt *c, int i, void *data)
{
    check(i >= 0 && i < c->m.count);
    const int64_t n = c->first[i + 1] - c->first[i];
    struct place *want = mem_new(n, sizeof *want, "checkpoint tiles");

    for (int64_t k = 0; k < n; k++) {
        const struct tile tile = tile_at(&c->m.tensors[i], k);
        want[k] = (struct place){ .tensor = i, .tile = k, .raw = (char *)data + tile.offset };
    }
    const int rc = ckpt_read_tiles(c, want, n);
    mem_free(want);
    return rc;
}

int ckpt_verify_part(struct ckpt *c, int file, int part, int parts)
{
    const int64_t all = c->first[c->m.count];
    struct place *want = mem_new(all, sizeof *want, "checkpoint tiles");
    int64_t n = 0;

    for (int64_t k = 0; k < all; k++)
        if (file < 0 || c->tiles[k].file == file) want[n++] = c->tiles[k];
    const int64_t begin = part_begin(n, parts, part), end = part_begin(n, parts, part + 1);
    const int rc = ckpt_read_tiles(c, want + begin, end - begin);
    mem_free(want);
    return rc;
}

int ckpt_verify(struct ckpt *c)
{
    return ckpt_verify_part(c, -1, 0, 1);
}

void ckpt_uncache(const struct ckpt *c)
{
    for (int i = 0; i < c->m.n_files; i++)
        (void)posix_fadvise(c->fd[i], 0, 0, POSIX_FADV_DONTNEED);
}
