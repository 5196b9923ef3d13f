#include "jobs/run_state.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jobs/launch.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/fence.h"

#define TAIL ((int64_t)1 << 18)   /* bytes of metrics.jsonl that are read: its end */
#define SILENT_S 600

/* Tell every line that is an object.  A file that is not there has none. */
static int each_line(const char *dir, const char *name, int64_t most,
                     void (*tell)(const json_t *line, void *arg), void *arg)
{
    char *path = mem_format("%s/%s", dir, name), *text = NULL, *rest;
    int64_t size = 0;
    int fd = -1, rc = OK;

    if (!path_exists(path)) goto out;
    TRY(file_open(&fd, &size, path));
    const int64_t n = size < most ? size : most;
    text = mem_new(n + 1, 1, path);
    TRY(file_read_at(fd, text, (size_t)n, size - n, path));
    rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        json_t *o = json_loads(line, 0, NULL);   /* the first one may be cut */
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

static int is(const json_t *o, const char *kind)
{
    const char *s = json_string_value(json_object_get(o, "kind"));
    return s && !strcmp(s, kind);
}

static void tell_metric(const json_t *o, void *arg)
{
    struct run_state *s = arg;

    if (is(o, "step") || is(o, "skip")) s->step = (int64_t)number(o, "step", -1);
    if (!is(o, "step")) return;
    const double seconds = number(o, "step_s", NAN);
    s->loss_nats = number(o, "loss_nats", NAN);
    s->tok_per_s = number(o, "tok_per_s", NAN);
    /* Of the last ones, as a mean that forgets. */
    s->step_s = isfinite(s->step_s) ? 0.9 * s->step_s + 0.1 * seconds : seconds;
}

/* The last word of the launcher. */
struct word { struct run_state *s; enum { W_NONE, W_SUBMIT, W_START, W_HANG, W_EXIT, W_END } last;
              int status; double time; long launcher; char host[256]; };

static void tell_launch(const json_t *o, void *arg)
{
    struct word *w = arg;
    const char *job = json_string_value(json_object_get(o, is(o, "submit") ? "id" : "job"));

    if (job) snprintf(w->s->job, sizeof w->s->job, "%s", job);
    if (is(o, "submit") || is(o, "queued")) w->last = W_SUBMIT;
    if (is(o, "hang")) w->last = W_HANG;
    if (is(o, "start")) {
        w->last = W_START;
        w->s->restarts = (int)number(o, "restarts", 0);
        w->launcher = (long)number(o, "pid", 0);
        const char *host = json_string_value(json_object_get(o, "launcher"));
        snprintf(w->host, sizeof w->host, "%s", host ? host : "");
    }
    if (is(o, "exit") || is(o, "end")) {
        w->last = is(o, "end") ? W_END : W_EXIT;
        w->status = (int)number(o, "status", -1);
        w->time = number(o, "time", 0);
    }
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

/* Will the launcher do something about what ended? */
static int launcher_lives(const struct run_state *s, const struct word *w)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    if (strcmp(host, w->host) != 0) return silence(s->dir) < SILENT_S;
    return w->launcher > 0 && (kill((pid_t)w->launcher, 0) == 0 || errno == EPERM);
}

static enum run_phase ended(int status)
{
    return status == 0 ? RUN_FINISHED : status == -ERR_SAVED ? RUN_SAVED : RUN_FAILED;
}

static enum run_phase phase_of(struct run_state *s, const struct fence_owner *o,
                               const struct word *w)
{
    const enum fence_life life = o->life;

    if (w->last == W_HANG) return RUN_HUNG;
    if (life == FENCE_ALIVE) return RUN_RUNNING;
    if (life == FENCE_ELSEWHERE)
        return silence(s->dir) < SILENT_S ? RUN_RUNNING : RUN_SILENT;
    if (w->last == W_SUBMIT) return RUN_WAITING;
    if (w->last == W_START || w->last == W_EXIT)
        return launcher_lives(s, w) ? RUN_WAITING : RUN_CRASHED;
    /* Unless somebody trained here later, without it. */
    if (w->last == W_END && o->seen <= w->time + 1) {
        s->status = w->status;
        return ended(w->status);
    }
    if (life == FENCE_ENDED) {
        s->status = o->status;
        return ended(o->status);
    }
    return life == FENCE_DEAD ? RUN_CRASHED : RUN_NEW;
}

/* Length of the run, from the configuration it left. */
static int read_config(struct run_state *s)
{
    char *path = mem_format("%s/config.yaml", s->dir);
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    int rc = OK;

    const char *slash = strrchr(s->dir, '/');
    snprintf(s->name, sizeof s->name, "%s", slash && slash[1] ? slash + 1 : s->dir);
    if (path_exists(path)) {
        TRY(conf_read_stored(c, path));
        s->steps = c->train.steps;
    }
out:
    mem_free(c);
    mem_free(path);
    return rc;
}

static void read_commit(struct run_state *s)
{
    char *ckpt = mem_format("%s/ckpt", s->dir);
    struct ckpt_entry *list = NULL;
    struct stat st;
    int count = 0;

    if (ckpt_list(&list, &count, ckpt) == OK)
        for (int i = 0; i < count && s->committed < 0; i++) {
            char *path = mem_format("%s/%s/MANIFEST", ckpt, list[i].name);
            if (list[i].committed && stat(path, &st) == 0) {
                s->committed = list[i].step;
                s->committed_time = (double)st.st_mtime;
            }
            mem_free(path);
        }
    mem_free(list);
    mem_free(ckpt);
}

int run_state_read(struct run_state *s, const char *dir)
{
    struct fence_owner owner;
    struct word w = { .s = s, .status = -1 };
    int rc = OK;

    *s = (struct run_state){ .dir = mem_string(dir), .step = -1, .steps = -1, .committed = -1,
                             .loss_nats = NAN, .tok_per_s = NAN, .step_s = NAN, .left_s = NAN,
                             .committed_time = NAN, .status = -1 };
    if (!path_is_dir(dir)) TRY(fail(ERR_MISSING, "%s: there is no such run", dir));
    TRY(read_config(s));
    TRY(each_line(dir, "metrics.jsonl", TAIL, tell_metric, s));
    TRY(each_line(dir, "launch.jsonl", INT64_MAX, tell_launch, &w));
    TRY(fence_look(&owner, dir));
    s->pid = owner.pid;
    snprintf(s->host, sizeof s->host, "%s", owner.host);
    if (owner.job[0]) snprintf(s->job, sizeof s->job, "%s", owner.job);
    read_commit(s);
    s->phase = phase_of(s, &owner, &w);
    if (s->step < s->committed) s->step = s->committed;
    if (s->step >= 0 && s->steps >= s->step) s->left_s = s->step_s * (double)(s->steps - s->step);
out:
    return rc;
}

void run_state_done(struct run_state *s)
{
    mem_free(s->dir);
    s->dir = NULL;
}

const char *run_phase_name(enum run_phase p)
{
    static const char *const names[] = { "new", "waiting", "running", "silent", "hung", "saved",
                                         "finished", "failed", "crashed" };
    return names[p];
}

static json_t *real_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }
static json_t *count_or_null(int64_t n) { return n >= 0 ? json_integer(n) : json_null(); }

json_t *run_state_json(const struct run_state *s)
{
    json_t *o = json_pack(
        "{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:s,s:I,s:s}", "run", s->dir, "name",
        s->name, "state", run_phase_name(s->phase), "step", count_or_null(s->step), "steps",
        count_or_null(s->steps), "loss_nats", real_or_null(s->loss_nats), "tok_per_s",
        real_or_null(s->tok_per_s), "left_s", real_or_null(s->left_s), "committed",
        count_or_null(s->committed), "committed_time", real_or_null(s->committed_time), "restarts",
        s->restarts, "status", count_or_null(s->status), "host", s->host, "pid",
        (json_int_t)s->pid, "job", s->job);
    check(o);
    return o;
}

static void print_one(const struct run_state *s, int width)
{
    char step[48] = "-", loss[24] = "-", rate[24] = "-", left[HUMAN_TEXT] = "-", saved[48] = "-";
    char ago[HUMAN_TEXT];

    if (s->step >= 0 && s->steps >= 0)
        snprintf(step, sizeof step, "%lld/%lld", (long long)s->step, (long long)s->steps);
    if (isfinite(s->loss_nats)) snprintf(loss, sizeof loss, "%.4f", s->loss_nats);
    if (isfinite(s->tok_per_s)) snprintf(rate, sizeof rate, "%.0f", s->tok_per_s);
    if (s->phase != RUN_FINISHED) human_duration(left, s->left_s);
    if (s->committed >= 0)
        snprintf(saved, sizeof saved, "%lld, %s ago", (long long)s->committed,
                 human_duration(ago, (double)time(NULL) - s->committed_time));
    printf("%-*s  %-8s  %13s  %8s  %8s  %7s  %-18s  %8d  %s\n", width, s->name,
           run_phase_name(s->phase), step, loss, rate, left, saved, s->restarts,
           s->job[0] ? s->job : "-");
}

void run_state_print(const struct run_state *s, int n)
{
    int width = 4;
    for (int i = 0; i < n; i++)
        if ((int)strlen(s[i].name) > width) width = (int)strlen(s[i].name);
    printf("%-*s  %-8s  %13s  %8s  %8s  %7s  %-18s  %8s  %s\n", width, "run", "state", "step",
           "loss", "tok/s", "left", "saved", "restarts", "job");
    for (int i = 0; i < n; i++) print_one(&s[i], width);
}
