#include "src/store/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "src/base/build_info.h"
#include "src/base/file.h"
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

/* Say in LOCK who we are; only for people, so a failure is no matter. */
static void sign(int fd)
{
    char *text = mem_format("process %ld on %s\n", (long)getpid(), host());
    const size_t n = strlen(text);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, n, 0) != (ssize_t)n) { }
    mem_free(text);
}

static int lock(struct run_folder *r)
{
    char *path = mem_format("%s/LOCK", r->dir), who[300] = "";
    int rc = OK;

    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (r->lock < 0) rc = fail(ERR_IO, "%s: can't open: %s", path, strerror(errno));
    else if (flock(r->lock, LOCK_EX | LOCK_NB) == 0) sign(r->lock);
    else if (errno == EWOULDBLOCK) {
        if (pread(r->lock, who, sizeof who - 1, 0) < 0) who[0] = '\0';
        who[strcspn(who, "\n")] = '\0';
        rc = fail(ERR_OWNER, "%s belongs to another process (%s)", r->dir, who);
    } else log_warn("%s: no lock (%s): make sure that nobody else runs here", path,
                    strerror(errno));
    mem_free(path);
    return rc;
}

void run_follow(struct run_folder *r, const char *dir)
{
    *r = (struct run_folder){ .lock = -1 };
    r->dir = mem_string(dir);
    r->ckpt = mem_format("%s/ckpt", dir);
    r->quarantine = mem_format("%s/quarantine", dir);
    r->metrics = mem_format("%s/metrics.jsonl", dir);
}

int run_open(struct run_folder *r, const char *dir)
{
    *r = (struct run_folder){ .lock = -1 };
    int rc = dir_make(dir);
    if (rc != OK) return rc == ERR_MISSING ? ERR_IO : rc;
    run_follow(r, dir);
    rc = lock(r);
    if (rc != OK) run_close(r);
    return rc;
}

void run_close(struct run_folder *r)
{
    file_close(r->lock);
    mem_free(r->dir);
    mem_free(r->ckpt);
    mem_free(r->quarantine);
    mem_free(r->metrics);
    *r = (struct run_folder){ .lock = -1 };
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
