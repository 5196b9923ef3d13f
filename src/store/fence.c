/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/process.h"
#include "src/base/status.h"

/* The idea is the fencing token of distributed locks: a lock service can never be sure that the
 * holder of a lock is dead, so each holder gets a number larger than all before, and what the lock
 * protects refuses smaller ones (see Kleppmann, Designing Data-Intensive Applications, chapter 8).
 * Here the numbers are names of files; creating a file with O_EXCL is atomic also on NFS (version 3
 * and later), so that of several starts exactly one gets a number.  What is protected is the commit
 * of a checkpoint: fence_check() runs directly before it.  Between check and commit a takeover is
 * still possible; both processes then commit different attempts of a step, which is harmless, since
 * folders of checkpoints are never written twice (FORMAT.md). */
enum { NAME = 24, KEPT = 4, TRIES = 100, WAIT_MS = 50, WAITS = 40 };
#define CAP ((size_t)1 << 16)

/* --- who a process is --------------------------------------------------------- */

/* First line of a small file of the system; "" if there is none. */
static void system_line(char text[128], const char *path)
{
    FILE *f = fopen(path, "re");
    text[0] = '\0';
    if (!f) return;
    if (!fgets(text, 128, f)) text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    fclose(f);
}

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

static json_t *ourselves(void)
{
    char host[256] = "", boot[128], space[128] = "", launch[LAUNCH_NAME];
    const char *restarts = variable("SLURM_RESTART_COUNT");

    gethostname(host, sizeof host - 1);
    system_line(boot, "/proc/sys/kernel/random/boot_id");
    if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0) space[0] = '\0';
    launch_token_name(launch, variable(LAUNCH_VARIABLE));
    json_t *o = json_pack("{s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:i,s:f}", "pid", (json_int_t)getpid(),
                          "born", (json_int_t)process_born(getpid()), "host", host, "boot", boot, "space",
                          space, "launch", launch, "job",
                          variable("SLURM_JOB_ID"), "job_restarts", atoi(restarts), "seen",
                          (double)time(NULL));
    check(o);
    return o;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static int same(const json_t *a, const json_t *b, const char *key)
{
    const char *s = text_of(a, key);
    return *s && !strcmp(s, text_of(b, key));
}

static enum fence_life life_of(const json_t *o, const json_t *us)
{
    const json_int_t restarts = json_integer_value(json_object_get(o, "job_restarts"));
    const json_int_t ours = json_integer_value(json_object_get(us, "job_restarts"));

    if (json_object_get(o, "status")) return FENCE_ENDED;
    if (same(o, us, "launch")) return FENCE_DEAD;  /* a launcher restarts only after an end */
    if (same(o, us, "job") && restarts < ours) return FENCE_DEAD;
    if (*text_of(o, "job") && !strcmp(text_of(o, "job"), variable("TTT_AFTER_JOB")))
        return FENCE_DEAD;  /* SLURM started this job after that one had ended */
    if (!same(o, us, "host")) return FENCE_ELSEWHERE;
    if (!same(o, us, "boot")) return FENCE_DEAD;
    if (!same(o, us, "space")) return FENCE_ELSEWHERE;
    const int64_t then = json_integer_value(json_object_get(o, "born"));
    return process_born(json_integer_value(json_object_get(o, "pid"))) == then ? FENCE_ALIVE
                                                                               : FENCE_DEAD;
}

/* --- the folder ------------------------------------------------------------------ */

/* The number in the name of a file; 0: the name is not a number of a start. */
static int64_t number_of(const char *name)
{
    char is[NAME];
    const int64_t n = strspn(name, "0123456789") == strlen(name) && strlen(name) < 16
                          ? atoll(name) : 0;
    snprintf(is, sizeof is, "%06lld", (long long)n);
    return n > 0 && !strcmp(is, name) ? n : 0;
}

static char *path_of(const char *dir, int64_t number)
{
    return mem_format("%s/%06lld", dir, (long long)number);
}

static int highest(int64_t *number, const char *dir)
{
    char **names = NULL;
    int count = 0;

    *number = 0;
    if (!path_is_dir(dir)) return OK;
    const int rc = dir_list(&names, &count, dir);
    for (int i = 0; rc == OK && i < count; i++)
        if (number_of(names[i]) > *number) *number = number_of(names[i]);
    mem_free(names);
    return rc;
}

/* The content of a file; NULL if it is empty or gone.  A file that was just created is empty for a
 * moment: wait for the process that made it. */
static json_t *read_owner(const char *dir, int64_t number, int waits)
{
    char *path = path_of(dir, number), *text = NULL;
    json_t *o = NULL;
    size_t n = 0;

    for (int i = 0; i < waits && !o && path_exists(path); i++) {
        if (i) nanosleep(&(struct timespec){ 0, WAIT_MS * 1000000L }, NULL);
        if (file_slurp(&text, &n, path, CAP) != OK) break;
        o = n ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
        mem_free(text);
    }
    mem_free(path);
    return o;
}

static void describe(struct fence_owner *out, const json_t *o, const json_t *us)
{
    out->life = o ? life_of(o, us) : FENCE_DEAD;
    out->pid = (long)json_integer_value(json_object_get(o, "pid"));
    out->seen = json_number_value(json_object_get(o, "seen"));
    out->status = (int)json_integer_value(json_object_get(o, "status"));
    snprintf(out->host, sizeof out->host, "%s", text_of(o, "host"));
    snprintf(out->job, sizeof out->job, "%s", text_of(o, "job"));
    snprintf(out->token, sizeof out->token, "%s", text_of(o, "launch"));
}

static int look(struct fence_owner *o, const char *dir)
{
    *o = (struct fence_owner){ .life = FENCE_NONE };
    const int rc = highest(&o->number, dir);
    if (rc != OK || !o->number) return rc;
    json_t *us = ourselves(), *them = read_owner(dir, o->number, WAITS);
    describe(o, them, us);
    json_decref(us);
    json_decref(them);
    return OK;
}

int fence_read(struct fence_owner *o, const char *run)
{
    char *dir = mem_format("%s/fence", run);
    const int rc = look(o, dir);
    mem_free(dir);
    return rc;
}

static int refuse(const struct fence_owner *o, const char *dir)
{
    const int n = (int)(strlen(dir) - strlen("/fence"));
    if (o->life == FENCE_ALIVE)
        return fail(ERR_OWNER, "%.*s belongs to another process (process %ld on %s, start %lld); "
                    "--takeover takes the run away from it", n, dir, o->pid, o->host,
                    (long long)o->number);
    return fail(ERR_OWNER, "%.*s belongs to process %ld on %s, start %lld, and from here nobody "
                "can tell whether it still runs; if it does not, or is to lose the run: --takeover",
                n, dir, o->pid, o->host, (long long)o->number);
}

int fence_allows(const char *run)
{
    char *dir = mem_format("%s/fence", run);
    struct fence_owner o;
    int rc = look(&o, dir);
    if (rc == OK && o.life >= FENCE_ALIVE) rc = refuse(&o, dir);
    mem_free(dir);
    return rc;
}

static int put(const struct fence *f, int ended, int status)
{
    json_t *us = ourselves();

    if (ended) json_object_set_new(us, "status", json_integer(status));
    char *text = json_dumps(us, JSON_COMPACT);
    check(text);
    const int rc = file_replace(f->path, text, strlen(text));
    free(text);
    json_decref(us);
    return rc;
}

/* returns 1: the number is ours; 0: somebody was faster; or an error */
static int claim(struct fence *f)
{
    mem_free(f->path);
    f->path = path_of(f->dir, f->number);
    const int fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

    if (fd < 0 && errno == EEXIST) return 0;
    if (fd < 0) return fail(ERR_IO, "%s: can't create: %s", f->path, strerror(errno));
    file_close(fd);
    const int rc = put(f, 0, 0);
    return rc == OK ? 1 : rc;
}

/* Remove temporary files that earlier starts left when they were killed; not those of a start that
 * may be alive. */
static void sweep(const struct fence *f)
{
    json_t *us = ourselves();
    char **names = NULL;
    int count = 0;

    if (dir_list(&names, &count, f->dir) != OK) count = 0;
    for (int i = 0; i < count; i++) {
        char *tmp = strstr(names[i], FILE_TMP);
        if (!tmp || strcmp(tmp, FILE_TMP) != 0) continue;
        *tmp = '\0';
        const int64_t n = number_of(names[i]);
        if (n == 0 || n >= f->number) continue;
        char *path = path_of(f->dir, n);
        json_t *them = read_owner(f->dir, n, 1);
        if (!them || life_of(them, us) < FENCE_ALIVE) file_sweep(path);
        json_decref(them);
        mem_free(path);
    }
    mem_free(names);
    json_decref(us);
}

/* Remove the files of starts long ago. */
static void remove_old(const struct fence *f)
{
    for (int64_t n = f->number - KEPT; n > 0; n--) {
        char *path = path_of(f->dir, n);
        const int gone = unlink(path) != 0;
        mem_free(path);
        if (gone) break;
    }
}

static void release(struct fence *f)
{
    mem_free(f->dir);
    mem_free(f->path);
    *f = (struct fence){ .number = 0 };
}

int fence_take(struct fence *f, const char *run, int takeover)
{
    int rc, ours = 0;

    *f = (struct fence){ .dir = mem_format("%s/fence", run) };
    TRY(dir_make(f->dir));
    for (int i = 0; i < TRIES && !ours; i++) {
        struct fence_owner o;
        TRY(look(&o, f->dir));
        if (o.life >= FENCE_ALIVE && !takeover) TRY(refuse(&o, f->dir));
        if (o.life >= FENCE_ALIVE)
            log_warn("%s: taken over from process %ld on %s", run, o.pid, o.host);
        f->number = o.number + 1;
        ours = claim(f);
        if (ours < 0) TRY(ours);
    }
    if (!ours) TRY(fail(ERR_OWNER, "%s: other processes took this run over %d times meanwhile", run,
                        TRIES));
    TRY(fence_check(f));
    if (path_is_link(f->dir)) goto out;  /* nothing is removed through it */
    sweep(f);
    remove_old(f);
out:
    if (rc != OK) release(f);
    return rc;
}

int fence_lost(const struct fence *f)
{
    char *next = path_of(f->dir, f->number + 1);
    const int lost = path_exists(next);
    mem_free(next);
    return lost;
}

int fence_check(const struct fence *f)
{
    int64_t number;
    /* A change in the folder makes a client of NFS drop what it has cached of it. */
    int rc = put(f, 0, 0);

    if (rc == OK) rc = highest(&number, f->dir);
    if (rc == OK && number > f->number)
        rc = fail(ERR_OWNER, "%s: start %lld of this run has taken it over from this process, "
                  "start %lld",
                  f->dir, (long long)number, (long long)f->number);
    return rc;
}

void fence_end(struct fence *f, int status)
{
    if (f->number) (void)put(f, 1, status);
    release(f);
}
