/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/save/ckpt_search.h"

#include <limits.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/ckpt_parts.h"

/* What the first rank sends: the next candidate; without a path: there is none left. */
struct word {
    char        path[PATH_MAX];
    struct hash proof;
    int         rc;
};

struct search {
    const struct axis *world;
    int (*use)(struct ckpt *c, void *arg);
    void *arg;
};

static void tell(struct word *w, const struct axis *world)
{
    mpi_do(MPI_Bcast(w, sizeof *w, MPI_BYTE, 0, world->comm));
}

/* ckpt_newest() calls this on the first rank with each candidate. */
static int try_together(struct ckpt *c, void *arg)
{
    const struct search *s = arg;
    struct word w = { .proof = ckpt_proof(c) };

    check(strlen(ckpt_path(c)) < sizeof w.path);
    strcpy(w.path, ckpt_path(c));
    tell(&w, s->world);
    const int rc = axis_agree(s->world, OK);  /* whether all opened it */
    return rc == OK ? axis_agree(s->world, s->use(c, s->arg)) : rc;
}

/* The first rank opened it: if this rank cannot, its file system is not the same one. */
static int open_same(struct ckpt **c, const struct word *w)
{
    char *manifest = mem_format("%s/MANIFEST", w->path);
    int rc = file_await(manifest, FILE_PATIENCE_S);
    mem_free(manifest);
    if (rc == OK) rc = ckpt_open(c, w->path);
    if (rc == ERR_MISSING) return ERR_IO;
    if (rc != OK || hash_equal(ckpt_proof(*c), w->proof)) return rc;
    return fail(ERR_IO, "%s: its MANIFEST on this rank is not the one that the first rank reads; "
                "checkpoints must be on a file system that all ranks share", w->path);
}

static int follow(struct ckpt **out, const struct search *s)
{
    for (;;) {
        struct word w;
        tell(&w, s->world);
        if (!w.path[0]) return w.rc;
        ckpt_close(*out);
        int rc = axis_agree(s->world, open_same(out, &w));
        if (rc == OK) rc = axis_agree(s->world, s->use(*out, s->arg));
        if (rc == OK) continue;
        ckpt_close(*out);
        *out = NULL;
    }
}

int ckpt_search(struct ckpt **out, const struct axis *world, const char *dir,
                const char *quarantine, int (*use)(struct ckpt *c, void *arg), void *arg)
{
    struct search s = { world, use, arg };
    struct word end = { .path = "" };

    *out = NULL;
    if (world->rank > 0) return follow(out, &s);
    end.rc = ckpt_pick(out, dir, quarantine, try_together, &s);
    tell(&end, world);
    return end.rc;
}
