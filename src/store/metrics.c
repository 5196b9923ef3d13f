/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/beacon.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct metrics {
    char   *path;
    int     fd;
    int64_t lost;       /* lines since writing began to fail */
    int64_t last_eval;  /* step                              */
};

int64_t metrics_last_eval(const struct metrics *m) { return m->last_eval; }

/* An evaluation's step, or `old`. */
static int64_t eval_step(const json_t *line, int64_t old)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (!kind || strcmp(kind, "eval") != 0) return old;
    return json_integer_value(json_object_get(line, "step"));
}

json_t *metrics_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* Does this line stay when the run resumes from `step`? */
static int keeps(const char *line, size_t n, int64_t step, int64_t *last_eval)
{
    if (n == 0 || line[n - 1] != '\n') return 0;
    json_t *o = json_loadb(line, n, 0, NULL);
    const json_t *at = json_object_get(o, "step");
    const int yes = json_is_integer(at) && json_integer_value(at) <= step;
    if (yes) *last_eval = eval_step(o, *last_eval);
    json_decref(o);
    return yes;
}

/* Copy the lines that stay to `out`.  returns lines dropped, or -1 with errno */
static int64_t filter(FILE *out, FILE *in, int64_t step, int64_t *last_eval)
{
    char *line = NULL;
    size_t room = 0;
    int64_t dropped = 0;

    for (ssize_t n; (n = getline(&line, &room, in)) >= 0;) {
        if (!keeps(line, (size_t)n, step, last_eval)) dropped++;
        else if (fwrite(line, 1, (size_t)n, out) != (size_t)n) break;
    }
    free(line);
    return ferror(in) || ferror(out) ? -1 : dropped;
}

/* Remove what does not stay; the file is replaced only if that is anything. */
static int clean(const char *path, int64_t step, int64_t *last_eval)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return fail(ERR_IO, "%s: not a regular file", path);
    FILE *in = fopen(path, "re");
    if (!in) return errno == ENOENT ? OK : fail(ERR_IO, "%s: %s", path, strerror(errno));

    char *tmp = file_tmp(path);
    FILE *out = fopen(tmp, "we");
    int64_t dropped = out ? filter(out, in, step, last_eval) : -1;
    if (out && dropped > 0 && (fflush(out) || fsync(fileno(out)))) dropped = -1;
    if (out && fclose(out) != 0) dropped = -1;
    fclose(in);
    if (dropped > 0 && rename(tmp, path) != 0) dropped = -1;
    const int e = errno;
    if (dropped <= 0) unlink(tmp);
    mem_free(tmp);
    return dropped < 0 ? fail(ERR_IO, "%s: can't drop old lines: %s", path, strerror(e)) : OK;
}

int metrics_open(struct metrics **out, const char *path, int64_t step)
{
    int64_t last_eval = -1;

    *out = NULL;
    const int rc = clean(path, step, &last_eval);
    if (rc != OK) return rc;
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return fail(ERR_IO, "%s: can't open: %s", path, strerror(errno));

    *out = mem_new(1, sizeof **out, "metrics");
    (*out)->path = mem_string(path);
    (*out)->fd = fd;
    (*out)->last_eval = last_eval;
    return OK;
}

struct metrics *metrics_follow(int64_t last_eval)
{
    struct metrics *m = mem_new(1, sizeof *m, "metrics");
    *m = (struct metrics){ .fd = -1, .last_eval = last_eval };
    return m;
}

/* All n bytes or none. */
static int append(int fd, const char *text, size_t n)
{
    struct stat before;
    if (fstat(fd, &before) != 0) return -1;
    for (size_t done = 0; done < n;) {
        const ssize_t k = write(fd, text + done, n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            const int e = errno;
            /* If this fails too, the torn line is dropped at the next start. */
            if (ftruncate(fd, before.st_size) != 0) { }
            errno = e;
            return -1;
        }
        done += (size_t)k;
    }
    return 0;
}

void metrics_write(struct metrics *m, json_t *line)
{
    m->last_eval = eval_step(line, m->last_eval);
    if (m->fd < 0) {
        json_decref(line);
        return;
    }
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17));
    check(text);
    char *whole = mem_format("%s\n", text);

    beacon_enter(BEACON_FILE, "write", m->path);
    const int failed = append(m->fd, whole, strlen(whole)) != 0;
    beacon_leave();
    if (failed) {
        if (m->lost++ == 0) log_warn("%s: lines are lost: %s", m->path, strerror(errno));
    } else if (m->lost > 0) {
        log_warn("%s: writable again, %lld lines were lost", m->path, (long long)m->lost);
        m->lost = 0;
    }
    mem_free(whole);
    free(text);
    json_decref(line);
}

void metrics_back(struct metrics *m, int64_t step)
{
    int64_t last_eval = -1;

    if (m->last_eval > step) m->last_eval = step;  /* it was due and done at the checkpoint */
    if (m->fd < 0) return;
    close(m->fd);
    (void)clean(m->path, step, &last_eval);  /* said */
    m->fd = open(m->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (m->fd < 0) log_warn("%s: lines are lost: %s", m->path, strerror(errno));
}

void metrics_sync(struct metrics *m)
{
    beacon_enter(BEACON_FILE, "fsync", m->path);
    const int failed = fsync(m->fd) != 0;
    beacon_leave();
    if (failed) log_warn("%s: fsync failed: %s", m->path, strerror(errno));
}

void metrics_close(struct metrics *m)
{
    if (!m) return;
    close(m->fd);
    mem_free(m->path);
    mem_free(m);
}
