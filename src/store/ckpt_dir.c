/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/ckpt_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/ckpt_parts.h"

void ckpt_name(char name[64], int64_t step, int64_t attempt)
{
    snprintf(name, 64, "step-%012" PRId64 ".a%04" PRId64, step, attempt);
}

/* Only the exact form: "step-12.a1" is somebody else's folder. */
static int parse_name(struct ckpt_entry *e, const char *name)
{
    char same[64];
    int used = 0;
    if (strlen(name) >= sizeof same ||
        sscanf(name, "step-%18" SCNd64 ".a%18" SCNd64 "%n", &e->step, &e->attempt, &used) != 2 ||
        name[used] || e->step < 0 || e->attempt < 0)
        return 0;
    ckpt_name(same, e->step, e->attempt);
    snprintf(e->name, sizeof e->name, "%s", name);
    return !strcmp(same, name);
}

static int newest_first(const void *a, const void *b)
{
    const struct ckpt_entry *x = a, *y = b;
    if (x->step != y->step) return x->step > y->step ? -1 : 1;
    return (x->attempt < y->attempt) - (x->attempt > y->attempt);
}

int ckpt_list(struct ckpt_entry **out, int *count, const char *dir)
{
    char **names = NULL;
    int n = 0, rc = OK;

    *out = NULL;
    *count = 0;
    if (!path_is_dir(dir)) return ERR_MISSING;
    TRY(dir_list(&names, &n, dir));
    *out = mem_new(n, sizeof **out, "checkpoint list");
    for (int i = 0; i < n; i++) {
        struct ckpt_entry e = { 0 };
        if (!parse_name(&e, names[i])) continue;
        char *manifest = mem_format("%s/%s/MANIFEST", dir, names[i]);
        e.committed = !path_is_absent(manifest);
        mem_free(manifest);
        (*out)[(*count)++] = e;
    }
    qsort(*out, (size_t)*count, sizeof **out, newest_first);
out:
    mem_free(names);
    return rc;
}

/* --- whose it is ------------------------------------------------------------------ */

/* Folders that this process made last, as hashes of their paths. */
enum { MADE = 4096 };
static struct hash made[MADE];
static int64_t n_made;

static struct hash path_hash(const char *dir, const char *name)
{
    char *path = mem_format("%s/%s", dir, name);
    const struct hash h = hash_bytes(path, strlen(path));
    mem_free(path);
    return h;
}

void ckpt_made(const char *dir, const char *name) { made[n_made++ % MADE] = path_hash(dir, name); }

static int is_made(const char *dir, const char *name)
{
    const struct hash h = path_hash(dir, name);
    for (int64_t i = 0; i < MADE && i < n_made; i++)
        if (hash_equal(made[i], h)) return 1;
    return 0;
}

/* What a symbolic link leads to may be an archive, or another run's: of that only what this
 * process made goes away or is moved. */
static int may_go(const char *dir, const char *name)
{
    char *path = mem_format("%s/%s", dir, name);
    const int link = path_is_link(path);
    mem_free(path);
    return !link && (!path_is_link(dir) || is_made(dir, name));
}

static void warn_of_link(const char *dir)
{
    static int said;
    if (path_is_link(dir) && !said++)
        log_warn("%s is a symbolic link: only checkpoints that this process wrote are removed "
                 "there, older ones stay", dir);
}

/* --- removal ---------------------------------------------------------------------- */

/* Unlink in an open folder; what is not there is gone already. */
static int remove_file(int folder, const char *name, const char *path)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) return OK;
    return fail(ERR_IO, "%s/%s: can't remove: %s", path, name, strerror(errno));
}

/* MANIFEST, MANIFEST.tmp, w000.ttc ... */
static int is_ours(const char *name)
{
    char same[WRITER_NAME];
    int number = -1;
    if (!strcmp(name, "MANIFEST") || !strcmp(name, "MANIFEST.tmp")) return 1;
    if (sscanf(name, "w%4d.ttc", &number) != 1 || number < 0 || number >= WRITER_FILES) return 0;
    writer_name(same, number);
    return !strcmp(same, name);
}

int ckpt_remove(const char *dir, const char *name)
{
    char *path = mem_format("%s/%s", dir, name), **files = NULL;
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int count = 0, rc = OK;

    if (folder < 0)
        TRY(fail(ERR_IO, "%s: not a folder of this run: %s", path, strerror(errno)));
    TRY(remove_file(folder, "MANIFEST", path));
    TRY(dir_sync(path));
    TRY(FAILPOINT("ckpt.headless"));
    TRY(dir_list(&files, &count, path));
    for (int i = 0; i < count; i++)
        if (is_ours(files[i]) && remove_file(folder, files[i], path) != OK) rc = ERR_IO;
    if (rc == OK && rmdir(path) != 0)
        rc = fail(ERR_IO, "%s: can't remove folder: %s", path, strerror(errno));
out:
    file_close(folder);
    mem_free(files);
    mem_free(path);
    return rc;
}

/* Its MANIFEST and index prove themselves: good enough to count as kept. */
static int opens(const char *dir, const char *name)
{
    char *path = mem_format("%s/%s", dir, name);
    struct ckpt *c = NULL;
    const int rc = ckpt_open(&c, path);
    ckpt_close(c);
    mem_free(path);
    return rc == OK;
}

/* From the newest to the oldest: multiples of keep_every stay and are not counted; the first `keep`
 * of the others that can be opened stay; the rest is removed.  A damaged checkpoint is not counted,
 * so that damage to the newest ones never removes the last good one; it stays as long as it is
 * among the newest, for a resume to move into quarantine. */
void ckpt_retain(const char *dir, const struct ckpt_opts *opts, const char *own)
{
    struct ckpt_entry *list = NULL;
    int count = 0, kept = 1;  /* our own */

    if (opts->keep < 1 || ckpt_list(&list, &count, dir) != OK) return;
    for (int i = 0; i < count; i++) {
        const struct ckpt_entry *e = &list[i];
        if (!e->committed || !strcmp(e->name, own)) continue;
        if (opts->keep_every > 0 && e->step % opts->keep_every == 0) continue;
        if (!may_go(dir, e->name)) warn_of_link(dir);
        else if (kept < opts->keep) kept += opens(dir, e->name);
        else if (ckpt_remove(dir, e->name) != OK)
            log_warn("%s/%s: an old checkpoint could not be removed", dir, e->name);
    }
    mem_free(list);
}

int ckpt_clean(const char *dir)
{
    struct ckpt_entry *list = NULL;
    int count = 0;
    int rc = ckpt_list(&list, &count, dir);

    if (rc == ERR_MISSING) return OK;
    for (int i = 0; i < count; i++) {
        if (list[i].committed || !may_go(dir, list[i].name)) continue;
        log_phase("%s/%s: removed: left by a crash before it was committed", dir,
                  list[i].name);
        const int now = ckpt_remove(dir, list[i].name);
        if (rc == OK) rc = now;
    }
    mem_free(list);
    return rc;
}

/* Move a damaged checkpoint into quarantine; where the name is taken, a number is appended. */
static void move_away(const char *dir, const char *name, const char *quarantine)
{
    char *from = mem_format("%s/%s", dir, name), *to = mem_format("%s/%s", quarantine, name);
    int moved = 0;

    if (!may_go(dir, name)) {
        log_warn("%s: damaged, and reached by a symbolic link: it stays where it is", from);
        goto out;
    }
    if (dir_make(quarantine) == OK) {
        for (int i = 1; i < 1000 && path_exists(to); i++) {
            mem_free(to);
            to = mem_format("%s/%s.%d", quarantine, name, i);
        }
        moved = rename(from, to) == 0;
        if (moved && dir_sync(dir) == OK) (void)dir_sync(quarantine);
    }
    if (moved) log_warn("%s: damaged, moved to %s", from, to);
    else log_warn("%s: damaged, and can't be moved to %s: %s", from, to, strerror(errno));
out:
    mem_free(from);
    mem_free(to);
}

/* Open a checkpoint, and check that it is the one that its folder names. */
static int open_entry(struct ckpt **out, const char *dir, const struct ckpt_entry *e)
{
    char *path = mem_format("%s/%s", dir, e->name);
    int rc = ckpt_open(out, path);

    if (rc == OK && (ckpt_step(*out) != e->step || ckpt_attempt(*out) != e->attempt))
        rc = fail(ERR_DATA, "%s: holds the checkpoint of step %lld, attempt %lld", path,
                  (long long)ckpt_step(*out), (long long)ckpt_attempt(*out));
    mem_free(path);
    return rc;
}

/* One pass over a folder: the newest valid checkpoint, or the reason why there is none.  *vanished:
 * a checkpoint was removed meanwhile, by a run that has newer ones. */
static int pick(struct ckpt **out, int *vanished, const char *dir, const char *quarantine,
                int (*prove)(struct ckpt *c, void *arg), void *arg)
{
    struct ckpt_entry *list = NULL;
    char *bad = mem_string("");
    int count = 0, n_bad = 0, io = 0;
    int rc = ckpt_list(&list, &count, dir);

    *out = NULL;
    *vanished = 0;
    for (int i = 0; i < count && rc == OK; i++) {
        if (!list[i].committed) continue;
        int now = open_entry(out, dir, &list[i]);
        if (now == OK) now = prove(*out, arg);
        if (now == OK) break;
        ckpt_close(*out);
        *out = NULL;
        char *path = mem_format("%s/%s", dir, list[i].name);
        *vanished = ckpt_is_gone(path);
        mem_free(path);
        if (*vanished) break;
        /* After an error of reading the checkpoint may still be good: it stays where it is. */
        if (now == ERR_IO) io = 1;
        else if (now != ERR_DATA && now != ERR_MISSING) rc = now;
        else if (quarantine) move_away(dir, list[i].name, quarantine);
        char *longer = mem_format("%s%s%s", bad, n_bad++ ? ", " : "", list[i].name);
        mem_free(bad);
        bad = longer;
    }
    if (rc == OK && !*out && !*vanished) {
        rc = n_bad ? io ? ERR_IO : ERR_DATA : ERR_MISSING;
        if (n_bad) fail(rc, "%s: %d checkpoints, none is valid: %s", dir, n_bad, bad);
    }
    mem_free(list);
    mem_free(bad);
    return rc;
}

int ckpt_pick(struct ckpt **out, const char *dir, const char *quarantine,
              int (*prove)(struct ckpt *c, void *arg), void *arg)
{
    enum { TRIES = 20 };
    int rc, vanished, tries = 0;

    do rc = pick(out, &vanished, dir, quarantine, prove, arg);
    while (vanished && ++tries < TRIES);
    return vanished ? fail(ERR_IO, "%s: its run removes checkpoints faster than they can be read",
                           dir) : rc;
}

static int read_everything(struct ckpt *c, void *arg)
{
    (void)arg;
    return ckpt_verify(c);
}

int ckpt_newest(struct ckpt **out, const char *dir, const char *quarantine)
{
    return ckpt_pick(out, dir, quarantine, read_everything, NULL);
}

int ckpt_locate(struct ckpt **out, const char *path)
{
    char *manifest = mem_format("%s/MANIFEST", path), *sub = mem_format("%s/ckpt", path);
    int rc;

    *out = NULL;
    if (path_exists(manifest)) rc = ckpt_open(out, path);
    else rc = ckpt_newest(out, path_is_dir(sub) ? sub : path, NULL);
    if (rc == ERR_MISSING)
        fail(rc, "%s: no checkpoint, and no folder that holds checkpoints", path);
    mem_free(manifest);
    mem_free(sub);
    return rc;
}
