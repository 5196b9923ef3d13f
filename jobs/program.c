/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/share_dir.h"
#include "src/base/status.h"

#define SELF "/proc/self/exe"
#define PROGRAM_CAP ((size_t)1 << 30)
#define DIGITS 16

/* The content of a program and the name of its folder.  returns OK, or why it can't be read */
static int read_program(char **data, size_t *n, char name[DIGITS + 1], const char *path)
{
    char hex[HASH_HEX];
    const int rc = file_slurp(data, n, path, PROGRAM_CAP);

    if (rc != OK) return rc;
    hash_hex(hex, hash_bytes(*data, *n));
    snprintf(name, DIGITS + 1, "%.*s", DIGITS, hex);
    return OK;
}

/* Is the program at `path` the one that the name stands for? */
static int is_program(const char *path, const char *name)
{
    char *data = NULL, other[DIGITS + 1] = "";
    size_t n = 0;

    if (!path_exists(path)) return 0;
    const int yes = read_program(&data, &n, other, path) == OK && !strcmp(other, name);
    mem_free(data);
    return yes;
}

static int is_name(const char *name)
{
    return strlen(name) == DIGITS && strspn(name, "0123456789abcdef") == DIGITS;
}

/* Without fsync: a copy that a crash has damaged does not have the hash that its folder says. */
static int write_copy(const char *path, const char *data, size_t n)
{
    char *tmp = file_tmp(path);
    int fd = -1, rc = OK;

    TRY(file_temporary(&fd, tmp));
    rc = file_write(fd, data, n, tmp);
    if (rc == OK && fchmod(fd, 0755) != 0)
        rc = fail(ERR_IO, "%s: can't be made executable: %s", tmp, strerror(errno));
    file_close(fd);
    if (rc == OK && rename(tmp, path) != 0)
        rc = fail(ERR_IO, "%s: can't rename: %s", tmp, strerror(errno));
    if (rc != OK) unlink(tmp);
out:
    mem_free(tmp);
    return rc;
}

/* Programs that earlier launchers of this run have left. */
static void remove_others(const char *all, const char *name)
{
    char **names = NULL;
    int count = 0;

    if (path_is_link(all) || dir_list(&names, &count, all) != OK) count = 0;
    for (int i = 0; i < count; i++) {
        char *old = mem_format("%s/%s", all, names[i]);
        if (is_name(names[i]) && strcmp(names[i], name) != 0) (void)dir_remove(old);
        mem_free(old);
    }
    mem_free(names);
}

/* Make the copy; p->dir is set where it exists afterwards. */
static int copy(struct program *p, const char *run, const char *job)
{
    char *data = NULL, *all = mem_format("%s/program", run), *path = NULL, *file = NULL;
    const char *slash = strrchr(p->installed, '/');
    size_t n = 0;
    int rc = OK;

    TRY(read_program(&data, &n, p->name, SELF));
    p->dir = mem_format("%s/%s", all, p->name);
    path = mem_format("%s/%s", p->dir, slash ? slash + 1 : p->installed);
    file = mem_format("%s/job", p->dir);
    TRY(dir_make(p->dir));
    remove_others(all, p->name);
    if (!is_program(path, p->name)) TRY(write_copy(path, data, n));
    if (job[0]) TRY(file_replace(file, job, strlen(job)));
    /* It fails where programs can't be started (mount option noexec). */
    if (access(path, X_OK) != 0)
        TRY(fail(ERR_IO, "%s: can't be started: %s", path, strerror(errno)));
    mem_free(p->path);
    p->path = slurm_absolute(path);
out:
    mem_free(data);
    mem_free(all);
    mem_free(path);
    mem_free(file);
    return rc;
}

static void remove_copy(struct program *p)
{
    if (p->dir && path_exists(p->dir)) (void)dir_remove(p->dir);
    char *slash = p->dir ? strrchr(p->dir, '/') : NULL;
    if (slash) {
        *slash = '\0';
        rmdir(p->dir);   /* if it was the last one */
    }
    mem_free(p->dir);
    p->dir = NULL;
}

/* A copy in the run's folder has no share/ttt next to it: it is told where ours is. */
static void keep_share(void)
{
    char *dir = share_dir();
    if (path_is_dir(dir)) setenv("TTT_SHARE", dir, 1);
    mem_free(dir);
}

void program_keep(struct program *p, const char *run, const char *job)
{
    *p = (struct program){ .installed = launch_self(), .path = launch_self() };
    keep_share();
    log_speaker(0);
    const int rc = copy(p, run, job);
    if (rc != OK) remove_copy(p);
    log_speaker(1);
    if (rc != OK)
        log_warn("the program can't be kept in the run's folder (%s): a restart starts what is then "
                 "installed at %s", log_last_error(), p->installed);
}

void program_again(struct program *p, int here)
{
    if (!p->installed || p->told) return;
    log_speaker(0);
    const int same = is_program(p->installed, p->name);
    log_speaker(1);
    if (same) return;
    p->told = 1;
    if (!p->dir && here) {
        mem_free(p->path);
        p->path = mem_format("/proc/%ld/exe", (long)getpid());
    }
    log_warn("%s at %s since this job started: it continues with %s",
             path_exists(p->installed) ? "another program is installed" : "no program is installed",
             p->installed, p->dir || here ? "the one that it started with" : "what is there now");
}

void program_done(struct program *p, int over)
{
    if (over) remove_copy(p);
    mem_free(p->path);
    mem_free(p->installed);
    mem_free(p->dir);
    *p = (struct program){ .path = NULL };
}

/* The copy in the folder `dir` if it belongs to the job, a counted string; else NULL. */
static char *copy_of_job(const char *dir, const char *name, const char *job)
{
    char *file = mem_format("%s/job", dir), *text = NULL, **names = NULL, *path = NULL;
    size_t n = 0;
    int count = 0;

    const int ours = path_exists(file) && file_slurp(&text, &n, file, 64) == OK && !strcmp(text, job);
    if (ours && dir_list(&names, &count, dir) == OK)
        for (int i = 0; i < count && !path; i++) {
            if (!strcmp(names[i], "job")) continue;
            path = mem_format("%s/%s", dir, names[i]);
            if (is_program(path, name)) break;
            mem_free(path);
            path = NULL;
        }
    mem_free(names);
    mem_free(text);
    mem_free(file);
    return path;
}

static void become(const char *path, char **argv)
{
    int n = 0;

    while (argv[n]) n++;
    char **words = mem_new(n + 2, sizeof *words, "command line"), *copied = mem_string(path);
    words[0] = copied;
    memcpy(words + 1, argv, (size_t)n * sizeof *words);
    execv(path, words);
    log_warn("%s: can't be started: %s", path, strerror(errno));
    mem_free(copied);
    mem_free(words);
}

void program_resume(const char *run, const char *job, char **argv)
{
    char *all = mem_format("%s/program", run), **names = NULL, *path = NULL;
    int count = 0;

    log_speaker(0);
    if (path_is_dir(all) && dir_list(&names, &count, all) == OK)
        for (int i = 0; i < count && !path; i++) {
            char *dir = mem_format("%s/%s", all, names[i]);
            if (is_name(names[i]) && !is_program(SELF, names[i]))
                path = copy_of_job(dir, names[i], job);
            mem_free(dir);
        }
    log_speaker(1);
    if (path) {
        log_phase("another program is installed since job %s began: it continues with the one that it "
                  "began with, %s", job, path);
        keep_share();
        become(path, argv);
    }
    mem_free(path);
    mem_free(names);
    mem_free(all);
}
