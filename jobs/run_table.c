/* SPDX-License-Identifier: Apache-2.0 */
/* The note, the table and the JSON of a run's state. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "jobs/launch.h"
#include "jobs/run_state.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/store/json_name.h"

#define LOG_TAIL 4096
#define LOG_LINE 160   /* bytes of it that are shown */

/* --- the note -------------------------------------------------------------------- */

/* Append a part of a sentence; the texts are counted. */
static void also(char **note, char *part)
{
    if (part && part[0]) {
        char *longer = mem_format("%s%s%s", *note, (*note)[0] ? "; " : "", part);
        mem_free(*note);
        *note = longer;
    }
    mem_free(part);
}

static char *job_words(const struct slurm_fact *j)
{
    if (j->state == SLURM_UNKNOWN)
        return mem_format("job %s: its state is not known (%s)", j->id, j->why);
    if (j->state == SLURM_GONE) return mem_format("job %s has left SLURM's queue", j->id);
    if (!j->id[0]) return NULL;
    return mem_format("job %s: %s%s%s%s", j->id, j->word, j->why[0] ? " (" : "", j->why,
                      j->why[0] ? ")" : "");
}

/* The last line of a file that is not empty; "": there is none.  A counted string. */
static char *last_line(const char *path)
{
    char text[LOG_TAIL + 1];
    int64_t size = 0;
    int fd = -1, rc = OK;
    size_t n = 0;

    log_speaker(0);
    TRY(file_open(&fd, &size, path));
    n = size < LOG_TAIL ? (size_t)size : LOG_TAIL;
    TRY(file_read_at(fd, text, n, size - (int64_t)n, path));
out:
    log_speaker(1);
    file_close(fd);
    if (rc != OK) n = 0;
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    text[n] = '\0';
    const char *start = strrchr(text, '\n');
    return mem_format("%.*s", LOG_LINE, start ? start + 1 : text);
}

/* The last line that its job printed; the job may be a member of an array. */
static char *log_words(const struct run_state *s, const struct slurm_fact *j)
{
    char *path = mem_format("%s/slurm/%s.log", s->dir, j->id), *said = NULL;

    if (!j->id[0]) goto out;
    if (!path_exists(path)) {
        mem_free(path);
        path = mem_format("%s/../slurm/%s.log", s->dir, j->id);
    }
    if (path_exists(path)) {
        char *line = last_line(path);
        said = mem_format("%s: %s", path, line[0] ? line : "nothing was printed");
        mem_free(line);
    } else if (j->state == SLURM_GONE) said = mem_format("the job printed nothing: was it cancelled?");
    else said = mem_format("the job has no log %s/slurm/%s.log: can its nodes write there?", s->dir, j->id);
out:
    mem_free(path);
    return said;
}

static char *code_words(int status)
{
    const char *text;
    int code;

    for (int i = 0; (text = status_row(i, &code)) != NULL; i++)
        if (code == status) return mem_format("exit code %d: %s", status, text);
    return status >= 0 ? mem_format("exit code %d", status) : NULL;
}

static char *make_note(const struct run_state *s, const struct run_verdict *v)
{
    const struct slurm_fact *j = v->about & ABOUT_OWN ? &s->own : &s->job;
    char *note = mem_string("");

    also(&note, mem_string(s->error));
    also(&note, mem_string(v->note));
    if (v->about & ABOUT_CODE) also(&note, code_words(v->status));
    if (v->about & (ABOUT_JOB | ABOUT_OWN)) also(&note, job_words(j));
    if (v->about & ABOUT_LOG) also(&note, log_words(s, j));
    if (run_phase_is_busy(v->phase) && launch_stop_requested(s->dir)) also(&note,
                                                                           mem_string("asked to stop"));
    return note;
}

static void decide(struct run_state *s)
{
    s->facts.job = s->job.state;
    s->facts.own = s->own.state;
    s->facts.job_began = s->job.began;
    const struct run_verdict v = run_judge(&s->facts);
    s->phase = v.phase;
    s->status = v.status;
    mem_free(s->note);
    s->note = make_note(s, &v);
}

/* Does it need sacct?  Not if the folder records how the run ended. */
static int wants_history(const struct run_state *s, const struct slurm_fact *j)
{
    if (j->state == SLURM_UNKNOWN) return s->phase != RUN_FINISHED;
    return j->state == SLURM_GONE && s->status < 0;
}

void run_states_judge(struct run_state *s, int n)
{
    struct slurm_fact *all = mem_new(2 * (int64_t)n, sizeof *all, "jobs");
    struct slurm_fact **from = mem_new(2 * (int64_t)n, sizeof *from, "jobs");
    int m = 0;

    for (int i = 0; i < n; i++) {
        all[2 * i] = s[i].job;
        all[2 * i + 1] = s[i].own;
    }
    slurm_ask(all, 2 * n);
    for (int i = 0; i < n; i++) {
        s[i].job = all[2 * i];
        s[i].own = all[2 * i + 1];
        decide(&s[i]);
        if (wants_history(&s[i], &s[i].job)) from[m++] = &s[i].job;
        if (wants_history(&s[i], &s[i].own)) from[m++] = &s[i].own;
    }
    for (int k = 0; k < m; k++) all[k] = *from[k];
    slurm_ask_history(all, m);
    for (int k = 0; k < m; k++) *from[k] = all[k];
    if (m)
        for (int i = 0; i < n; i++) decide(&s[i]);
    mem_free(from);
    mem_free(all);
}

/* --- JSON ------------------------------------------------------------------------- */

static json_t *real_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }
static json_t *count_or_null(int64_t n) { return n >= 0 ? json_integer(n) : json_null(); }

/* The job to show: the one that trains, else the newest. */
static const struct slurm_fact *job_of(const struct run_state *s)
{
    const int trains = s->phase == RUN_RUNNING || s->phase == RUN_SILENT || !s->job.id[0];
    return trains && s->own.id[0] ? &s->own : &s->job;
}

json_t *run_state_json(const struct run_state *s)
{
    const struct slurm_fact *j = job_of(s);
    json_t *o = json_pack(
        "{s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "run",
        json_name(s->dir), "name", json_name(s->name), "state", run_phase_name(s->phase), "step",
        count_or_null(s->step), "steps", count_or_null(s->steps), "loss_nats",
        real_or_null(s->loss_nats), "tok_per_s", real_or_null(s->tok_per_s), "left_s",
        real_or_null(s->left_s), "committed", count_or_null(s->committed), "committed_time",
        real_or_null(s->committed_time), "restarts", s->restarts, "status", count_or_null(s->status),
        "host", json_name(s->host), "pid", (json_int_t)s->pid, "job", json_name(j->id[0] ? j->id : s->job_text),
        "job_state", json_name(j->word), "job_reason", json_name(j->why), "note", json_name(s->note), "error",
        s->rc == OK ? json_null() : json_name(s->error));
    check(o);
    return o;
}

/* --- a table ----------------------------------------------------------------------- */

static void print_one(const struct run_state *s, const char *name, int width)
{
    char step[48] = "-", loss[24] = "-", rate[24] = "-", left[HUMAN_TEXT] = "-", saved[48] = "-";
    char ago[HUMAN_TEXT];
    const struct slurm_fact *j = job_of(s);
    char *job = text_visible_copy(j->id[0] ? j->id : s->job_text[0] ? s->job_text : "-");
    char *note = text_visible_copy(s->note);

    if (s->step >= 0 && s->steps >= 0)
        snprintf(step, sizeof step, "%lld/%lld", (long long)s->step, (long long)s->steps);
    else if (s->step >= 0) snprintf(step, sizeof step, "%lld", (long long)s->step);
    if (isfinite(s->loss_nats)) snprintf(loss, sizeof loss, "%.4f", s->loss_nats);
    if (isfinite(s->tok_per_s)) snprintf(rate, sizeof rate, "%.0f", s->tok_per_s);
    if (s->phase != RUN_FINISHED) human_duration(left, s->left_s);
    if (s->committed >= 0)
        snprintf(saved, sizeof saved, "%lld, %s ago", (long long)s->committed,
                 human_duration(ago, (double)time(NULL) - s->committed_time));
    printf("%-*s  %-10s  %13s  %8s  %8s  %7s  %-18s  %8d  %-*s%s\n", width, name,
           run_phase_name(s->phase), step, loss, rate, left, saved, s->restarts,
           note[0] ? 10 : 0, job, note);
    mem_free(job);
    mem_free(note);
}

void run_state_print(const struct run_state *s, int n)
{
    char **name = mem_new(n, sizeof *name, "names");
    int width = 4;

    for (int i = 0; i < n; i++) {
        name[i] = text_visible_copy(s[i].name);
        if ((int)strlen(name[i]) > width) width = (int)strlen(name[i]);
    }
    printf("%-*s  %-10s  %13s  %8s  %8s  %7s  %-18s  %8s  %-8s  %s\n", width, "run", "state", "step",
           "loss", "tok/s", "left", "saved", "restarts", "job", "note");
    for (int i = 0; i < n; i++) {
        print_one(&s[i], name[i], width);
        mem_free(name[i]);
    }
    mem_free(name);
}
