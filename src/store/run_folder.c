/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/run_folder.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "src/base/build_info.h"
#include "src/base/file.h"
#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define TOKENIZER_CAP ((size_t)1 << 30)
#define TEXT_CAP ((size_t)1 << 24)

static const char *host(void)
{
    static char name[256];
    if (gethostname(name, sizeof name - 1) != 0) strcpy(name, "unknown");
    return name;
}

void run_follow(struct run_folder *r, const char *dir)
{
    *r = (struct run_folder){ .dir = mem_string(dir) };
    r->ckpt = mem_format("%s/ckpt", dir);
    r->quarantine = mem_format("%s/quarantine", dir);
    r->metrics = mem_format("%s/metrics.jsonl", dir);
}

/* A file STOP was for who ran before us. */
static void clear_stop(const struct run_folder *r)
{
    char *path = mem_format("%s/STOP", r->dir);
    unlink(path);
    mem_free(path);
}

/* What starts before us were writing when they were killed. */
static void sweep(const struct run_folder *r)
{
    static const char *const names[] = { "config.yaml", "build.txt", "tokenizer.model",
                                         "metrics.jsonl" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = mem_format("%s/%s", r->dir, names[i]);
        file_sweep(path);
        mem_free(path);
    }
}

/* Could a checkpoint be saved?  A folder that is not there yet will be: `dir` takes the fence. */
static int ckpt_usable(const struct run_folder *r)
{
    if (!path_exists(r->ckpt) && !path_is_link(r->ckpt)) return OK;
    if (!path_is_dir(r->ckpt))
        return fail(ERR_IO, "%s: is not a folder, and checkpoints belong there: move it away",
                    r->ckpt);
    if (access(r->ckpt, W_OK | X_OK) != 0)
        return fail(ERR_IO, "%s: checkpoints can't be written there: %s", r->ckpt, strerror(errno));
    return OK;
}

int run_open(struct run_folder *r, const char *dir, int takeover)
{
    *r = (struct run_folder){ .dir = NULL };
    int rc = dir_make(dir);
    if (rc != OK) return rc == ERR_MISSING ? ERR_IO : rc;
    run_follow(r, dir);
    rc = ckpt_usable(r);
    if (rc == OK) rc = fence_take(&r->fence, dir, takeover);
    if (rc == OK) sweep(r);
    if (rc != OK) run_close(r, rc);
    else if (!getenv(LAUNCH_VARIABLE)) clear_stop(r);  /* else the launcher looks after it */
    return rc;
}

void run_close(struct run_folder *r, int rc)
{
    fence_end(&r->fence, -rc);
    mem_free(r->dir);
    mem_free(r->ckpt);
    mem_free(r->quarantine);
    mem_free(r->metrics);
    *r = (struct run_folder){ .dir = NULL };
}

int run_stopped(const struct run_folder *r)
{
    char *path = mem_format("%s/STOP", r->dir);
    const int yes = path_exists(path);
    mem_free(path);
    return yes;
}

int run_put(const struct run_folder *r, const char *name, const char *text)
{
    char *path = mem_format("%s/%s", r->dir, name), *old = NULL;
    size_t n = 0;
    int rc = OK;

    if (!path_exists(path) || file_slurp(&old, &n, path, TEXT_CAP) != OK ||
        strcmp(old, text) != 0)
        rc = file_replace(path, text, strlen(text));
    mem_free(old);
    mem_free(path);
    return rc;
}

int run_copy(const struct run_folder *r, const char *name, const char *from)
{
    char *path = mem_format("%s/%s", r->dir, name), *data = NULL;
    size_t n = 0;
    int rc = OK;

    if (!path_exists(path)) {
        rc = file_slurp(&data, &n, from, TOKENIZER_CAP);
        if (rc == OK) rc = file_replace(path, data, n);
    }
    mem_free(data);
    mem_free(path);
    return rc;
}

char *run_build_text(const char *extra)
{
    return mem_format("%s\nprocessor: %s\nhost: %s\nzstd %s, jansson %s, xxhash %d.%d.%d\n%s",
                      build_text(), build_cpu(), host(), ZSTD_versionString(),
                      jansson_version_str(), (int)(XXH_versionNumber() / 10000),
                      (int)(XXH_versionNumber() / 100 % 100), (int)(XXH_versionNumber() % 100),
                      extra);
}
