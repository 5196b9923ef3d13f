/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/run_state.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jobs/launch.h"
#include "jobs/slurm.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/ckpt.h"

#define TAIL ((int64_t)1 << 18)   /* bytes of metrics.jsonl that are read: its end */

/* Keep the first error. */
static void wrong(struct run_state *s, int rc)
{
    if (rc == OK || s->rc != OK) return;
    s->rc = rc;
    mem_free(s->error);
    s->error = mem_string(log_last_error());
}

/* --- lines of JSON ----------------------------------------------------------------- */

/* Call `tell` for every line that is a JSON object.  A missing file has none. */
static int each_line(const char *dir, const char *name, int64_t most,
                     void (*tell)(const json_t *line, void *arg), void *arg)
{
    char *path = mem_format("%s/%s", dir, name), *text = NULL;
    int64_t size = 0;
    int fd = -1, rc = OK;

    if (path_is_absent(path)) goto out;
    TRY(file_open(&fd, &size, path));
    const int64_t n = size < most ? size : most;
    text = mem_new(n + 1, 1, path);
    TRY(file_read_at(fd, text, (size_t)n, size - n, path));
    /* The first line may be cut, and a crash may have left zeros anywhere. */
    for (char *line = text, *end; line < text + n; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + n - line));
        if (!end) end = text + n;
        json_t *o = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (json_is_object(o)) tell(o, arg);
        json_decref(o);
    }
out:
    file_close(fd);
    mem_free(text);
    mem_free(path);
    return rc;
}

static double number(const json_t *o, const char *key, double none)
{
    const json_t *x = json_object_get(o, key);
    return json_is_number(x) ? json_number_value(x) : none;
}

/* A whole number from 0 to 10^15. */
static int64_t whole(const json_t *o, const char *key, int64_t none)
{
    const double x = number(o, key, -1);
    return x >= 0 && x <= 1e15 ? (int64_t)x : none;
}

/* The same, for a number that can't be larger than `most`. */
static int small(const json_t *o, const char *key, int most, int none)
{
    const int64_t x = whole(o, key, none);
    return x <= most ? (int)x : most;
}

static int is(const json_t *o, const char *kind)
{
    const char *s = json_string_value(json_object_get(o, "kind"));
    return s && !strcmp(s, kind);
}

static void tell_metric(const json_t *o, void *arg)
{
    struct run_state *s = arg;

    if (is(o, "step") || is(o, "skip")) s->step = whole(o, "step", -1);
    if (!is(o, "step")) return;
    const double seconds = number(o, "step_s", NAN);
    s->loss_nats = number(o, "loss_nats", NAN);
    s->tok_per_s = number(o, "tok_per_s", NAN);
    /* An exponential moving average of the last steps. */
    s->step_s = isfinite(s->step_s) ? 0.9 * s->step_s + 0.1 * seconds : seconds;
}

/* --- what the launcher recorded ------------------------------------------------------------ */

struct last_launch {
    struct run_state *s;
    long pid;
    char host[256];
    char number[SLURM_ID], id[SLURM_ID];   /* of the last job that began, and as one of an array */
};

static void keep(char out[SLURM_ID], const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    snprintf(out, SLURM_ID, "%.*s", SLURM_ID - 1, text && slurm_is_id(text) ? text : "");
}

static void tell_launch(const json_t *o, void *arg)
{
    static const struct { const char *kind; enum run_event event; } events[] = {
        { "submit", EVENT_SUBMIT }, { "queued", EVENT_QUEUED }, { "job", EVENT_JOB },
        { "cancel", EVENT_CANCEL }, { "start", EVENT_START }, { "hang", EVENT_HANG }, { "exit",
                                                                                        EVENT_EXIT },
        { "end", EVENT_END },
    };
    struct last_launch *l = arg;
    struct run_facts *f = &l->s->facts;
    const char *job = json_string_value(json_object_get(o, is(o, "submit") ? "id" : "job"));

    if (job) {
        mem_free(l->s->job_text);
        l->s->job_text = mem_string(job);
    }
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (!is(o, events[i].kind)) continue;
        /* What trained before has recorded its own end. */
        if (events[i].event == EVENT_CANCEL && f->event > EVENT_CANCEL) continue;
        f->event = events[i].event;
        f->event_time = number(o, "time", 0);
        f->event_status = number(o, "status", -1) >= 0 ? small(o, "status", 255, 255) : -1;
    }
    if (is(o, "submit")) keep(l->s->job.id, o, "id");
    if (is(o, "job")) {
        keep(l->number, o, json_object_get(o, "number") ? "number" : "job");
        keep(l->id, o, "id");
    }
    if (!is(o, "start")) return;
    l->s->restarts = small(o, "restarts", INT_MAX, 0);
    l->pid = (long)whole(o, "pid", 0);
    const char *host = json_string_value(json_object_get(o, "launcher"));
    snprintf(l->host, sizeof l->host, "%s", host ? host : "");
}

/* Seconds since the newest of a run's files changed. */
static double silence(const char *dir)
{
    static const char *const names[] = { "metrics.jsonl", "launch.jsonl", "ckpt", "fence" };
    double newest = 0;
    struct stat st;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = mem_format("%s/%s", dir, names[i]);
        if (stat(path, &st) == 0 && (double)st.st_mtime > newest) newest = (double)st.st_mtime;
        mem_free(path);
    }
    return (double)time(NULL) - newest;
}

/* The name of a process' program; "" if there is none. */
static void program_of(char name[64], long pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(name, 64, f)) name[0] = '\0';
    if (f) fclose(f);
}

/* 1: it lives; 0: it is gone, even if another program has its number now; -1: on another machine.
 *  */
static int launcher_lives(const struct last_launch *l)
{
    char host[256] = "", ours[64], theirs[64];

    gethostname(host, sizeof host - 1);
    if (strcmp(host, l->host) != 0) return l->host[0] ? -1 : 0;
    if (l->pid <= 0 || (kill((pid_t)l->pid, 0) != 0 && errno != EPERM)) return 0;
    program_of(ours, getpid());
    program_of(theirs, l->pid);
    return !strcmp(ours, theirs);
}

/* --- the rest of the folder ------------------------------------------------------------ */

/* The length of the run, from the configuration in its folder. */
static int read_config(struct run_state *s)
{
    char *path = mem_format("%s/config.yaml", s->dir);
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    int rc = OK;

    if (!path_is_absent(path)) {
        TRY(conf_read_stored(c, path));
        s->steps = c->train.steps;
    }
out:
    mem_free(c);
    mem_free(path);
    return rc;
}

static int read_commit(struct run_state *s)
{
    char *ckpt = mem_format("%s/ckpt", s->dir);
    struct ckpt_entry *list = NULL;
    struct stat st;
    int count = 0, rc = OK;

    if (path_is_absent(ckpt)) goto out;
    if (!path_is_dir(ckpt))
        TRY(fail(ERR_IO, "%s: is not a folder, or can't be read", ckpt));
    TRY(ckpt_list(&list, &count, ckpt));
    for (int i = 0; i < count && s->committed < 0; i++) {
        char *path = mem_format("%s/%s/MANIFEST", ckpt, list[i].name);
        if (list[i].committed && stat(path, &st) == 0) {
            s->committed = list[i].step;
            s->committed_time = (double)st.st_mtime;
        }
        mem_free(path);
    }
out:
    s->facts.ckpt_unreadable = rc != OK;
    mem_free(list);
    mem_free(ckpt);
    return rc;
}

/* Read which process trained last, and the events of the launcher. */
static int read_events(struct run_state *s, struct last_launch *l)
{
    struct fence_owner owner;
    int rc = OK;

    TRY(each_line(s->dir, "launch.jsonl", INT64_MAX, tell_launch, l));
    TRY(fence_read(&owner, s->dir));
    s->pid = owner.pid;
    snprintf(s->host, sizeof s->host, "%s", owner.host);
    s->facts.life = owner.life;
    s->facts.fence_status = owner.status;
    s->facts.seen = owner.seen;
    if (slurm_is_id(owner.job))
        snprintf(s->own.id, SLURM_ID, "%.*s", SLURM_ID - 1,
                 !strcmp(owner.job, l->number) ? l->id : owner.job);
out:
    return rc;
}

static char *name_of(const char *dir)
{
    size_t n = strlen(dir), start;

    while (n > 1 && dir[n - 1] == '/') n--;
    for (start = n; start > 0 && dir[start - 1] != '/';) start--;
    return mem_format("%.*s", (int)(n - start), dir + start);
}

static int read_all(struct run_state *s)
{
    struct last_launch l = { .s = s };
    char id[SLURM_ID];
    int rc = OK;

    if (!path_is_dir(s->dir)) TRY(fail(ERR_MISSING, "%s: there is no such run", s->dir));
    TRY(read_events(s, &l));
    const int known = slurm_job_id_read(id, s->dir);
    s->facts.job_unreadable = known != OK;
    wrong(s, known);
    if (id[0]) memcpy(s->job.id, id, sizeof id);
    s->facts.launcher = launcher_lives(&l);
    s->facts.silence_s = silence(s->dir);
    wrong(s, read_config(s));
    wrong(s, each_line(s->dir, "metrics.jsonl", TAIL, tell_metric, s));
    wrong(s, read_commit(s));
out:
    s->facts.unreadable = rc != OK;
    return rc;
}

void run_state_read(struct run_state *s, const char *dir)
{
    *s = (struct run_state){ .dir = mem_string(dir), .name = name_of(dir), .step = -1, .steps = -1,
                             .committed = -1, .loss_nats = NAN, .tok_per_s = NAN, .step_s = NAN,
                             .left_s = NAN, .committed_time = NAN, .status = -1,
                             .phase = RUN_UNKNOWN, .job_text = mem_string(""),
                             .error = mem_string(""), .note = mem_string("") };
    s->facts.event_status = -1;
    s->facts.job_began = NAN;
    log_speaker(0);  /* errors are shown in the run's row */
    wrong(s, read_all(s));
    log_speaker(1);
    s->facts.step = s->step;
    s->facts.steps = s->steps;
    s->facts.committed = s->committed;
    if (s->step < s->committed) s->step = s->committed;
    if (s->step >= 0 && s->steps >= s->step) s->left_s = s->step_s * (double)(s->steps - s->step);
}

void run_state_done(struct run_state *s)
{
    char *const all[] = { s->dir, s->name, s->job_text, s->error, s->note };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    *s = (struct run_state){ .dir = NULL };
}

int run_is_there(const char *dir)
{
    static const char *const marks[] = { "fence", "launch.jsonl", "metrics.jsonl", "ckpt",
                                         "slurm/job" };
    int yes = 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks && !yes; i++) {
        char *path = mem_format("%s/%s", dir, marks[i]);
        yes = !path_is_absent(path);
        mem_free(path);
    }
    return yes;
}
