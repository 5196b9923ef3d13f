/* SPDX-License-Identifier: Apache-2.0 */
/* Saving.  The order of durable events is the protocol of FORMAT.md:
 *
 *   new folder -> data, fsync -> fsync(folder) -> MANIFEST.tmp, fsync, rename ->
 *   fsync(folder) -> fsync(parent) -> re-read everything -> let older ones go
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/ckpt.h"
#include "src/store/ckpt_dir.h"
#include "src/store/ckpt_parts.h"
#include "src/store/tile.h"

#define MIB (1024.0 * 1024.0)

/* Only advice: others write to the same disk, and compression helps. */
static void warn_of_space(const char *dir, double bytes)
{
    const double need = 65536 + bytes * (1 + (TILE_HEAD + WRITER_ENTRY) / (double)TILE_BYTES);
    struct statvfs fs;

    if (statvfs(dir, &fs) != 0) return;
    const double have = (double)fs.f_bavail * (double)fs.f_frsize;
    if (have < need * 1.05)
        log_warn("%s: %.1f MiB are free, a checkpoint may need %.1f MiB; trying", dir, have / MIB,
                 need / MIB);
}

int save_folder(char name[64], int64_t *attempt, const char *dir, int64_t step, double bytes)
{
    struct ckpt_entry *list = NULL;
    int count = 0, rc = OK, made = 0;

    TRY(FAILPOINT("ckpt.begin"));
    TRY(dir_make(dir));
    warn_of_space(dir, bytes);
    TRY(ckpt_list(&list, &count, dir));
    *attempt = 1;
    for (int i = 0; i < count; i++)
        if (list[i].step == step && list[i].attempt >= *attempt) *attempt = list[i].attempt + 1;
    for (; !made && rc == OK; *attempt += !made) {
        ckpt_name(name, step, *attempt);
        char *path = mem_format("%s/%s", dir, name);
        made = mkdir(path, 0777) == 0;
        if (!made && errno != EEXIST)
            rc = fail(ERR_IO, "%s: can't make folder: %s", path, strerror(errno));
        mem_free(path);
    }
    if (made) ckpt_made(dir, name);
    else name[0] = '\0';
    if (rc == OK) rc = FAILPOINT("ckpt.after_mkdir");
out:
    mem_free(list);
    return rc;
}

/* All tiles of all tensors, in order. */
static struct place *plan_tiles(int64_t *n, const struct tensor *tensors, int count)
{
    int64_t k = 0;

    *n = 0;
    for (int i = 0; i < count; i++) *n += tile_count(&tensors[i]);
    struct place *places = mem_new(*n, sizeof *places, "checkpoint tiles");
    for (int i = 0; i < count; i++)
        for (int64_t j = 0; j < tile_count(&tensors[i]); j++, k++)
            places[k] = (struct place){
                .tensor = i, .tile = j,
                .raw = (char *)tensors[i].data + tile_at(&tensors[i], j).offset,
            };
    return places;
}

int save_commit(struct manifest *m, const char *dir, const char *name, struct hash *leaves,
                int64_t n)
{
    char *path = mem_format("%s/%s", dir, name), *manifest = mem_format("%s/MANIFEST", path);
    char *text = NULL;
    size_t bytes = 0;
    int rc = OK;

    TRY(dir_sync(path));
    m->root = manifest_root(leaves, n, m->scalars);
    text = manifest_text(&bytes, m);
    if (!text) TRY(ERR_CONFIG);
    TRY(FAILPOINT("ckpt.before_manifest"));
    TRY(file_replace(manifest, text, bytes));
    TRY(dir_sync(dir));
    TRY(FAILPOINT("ckpt.after_manifest"));
out:
    mem_free(path);
    mem_free(manifest);
    mem_free(text);
    return rc;
}

int save_verify(const char *dir, const char *name, struct hash root, int file, int part, int parts)
{
    char *path = mem_format("%s/%s", dir, name);
    struct ckpt *c = NULL;
    int rc = OK;

    TRY(ckpt_open(&c, path));
    ckpt_uncache(c);
    TRY(ckpt_verify_part(c, file, part, parts));
    if (!hash_equal(ckpt_root(c), root))
        TRY(fail(ERR_DATA, "%s: another state root than the one just saved", path));
    TRY(FAILPOINT("ckpt.after_verify"));
out:
    ckpt_close(c);
    mem_free(path);
    return rc;
}

/* All tiles into one file, then the MANIFEST. */
static int write_all(const char *dir, const char *name, struct manifest *m, int level)
{
    char *data = mem_format("%s/%s/%s", dir, name, m->files[0].name);
    int64_t n = 0;
    struct place *places = plan_tiles(&n, m->tensors, m->count);
    struct hash *leaves = mem_new(n, sizeof *leaves, "checkpoint root");
    int rc = OK;

    TRY(writer_save(&m->files[0], places, n, data, m->tensors, level));
    for (int64_t k = 0; k < n; k++) leaves[k] = places[k].leaf;
    TRY(save_commit(m, dir, name, leaves, n));
out:
    mem_free(data);
    mem_free(places);
    mem_free(leaves);
    return rc;
}

int save_failed(const char *dir, const char *name, int64_t step, int rc)
{
    if (*name) ckpt_remove(dir, name);
    return fail(rc == ERR_CONFIG || rc == ERR_OWNER ? rc : ERR_IO,
                "%s: the checkpoint of step %lld could not be saved; older ones are untouched",
                dir, (long long)step);
}

int ckpt_save(const char *dir, const struct tensor *tensors, int count,
              const struct ckpt_meta *meta, const struct ckpt_opts *opts, struct hash *root)
{
    struct writer_file file = { 0 };
    json_t *none = json_object();
    struct manifest m = { .step = meta->step, .created = (int64_t)time(NULL), .count = count,
                          .tensors = (struct tensor *)tensors, .n_files = 1, .files = &file,
                          .scalars = meta->scalars ? meta->scalars : none,
                          .info = meta->info ? meta->info : none };
    char name[64] = "";
    double bytes = 0;
    int rc = OK;

    check(meta->step >= 0 && count >= 0);
    for (int i = 0; i < count; i++) bytes += (double)tensor_bytes(&tensors[i]);
    writer_name(file.name, 0);
    TRY(save_folder(name, &m.attempt, dir, meta->step, bytes));
    TRY(write_all(dir, name, &m, opts->level));
    TRY(save_verify(dir, name, m.root, -1, 0, 1));
    *root = m.root;
out:
    json_decref(none);
    if (rc == OK && FAILPOINT("ckpt.before_retain") == OK) ckpt_retain(dir, opts, name);
    if (rc != OK) rc = save_failed(dir, name, meta->step, rc);
    return rc;
}
