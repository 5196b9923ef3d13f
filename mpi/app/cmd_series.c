/* SPDX-License-Identifier: Apache-2.0 */
/* ttt series: what is missing of many runs is run here, or submitted. */
#include <stdio.h>
#include <string.h>

#include "jobs/run_state.h"
#include "jobs/scheduler.h"
#include "jobs/series.h"
#include "jobs/slurm.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

static const char usage[] =
    "ttt series SERIES.yaml [--slurm] [--dry-run] [--status] [--set key=value ...]";
static const char about[] =
    "Run, or submit as SLURM job arrays, the many runs that one file describes (jobs/README.md).\n"
    "Without --slurm they run here, one after another. The same command starts what is missing:\n"
    "runs that are finished, running or in the queue are left alone; a finished run whose\n"
    "train.steps was raised continues. --status shows all, as ttt status FOLDER does.\n"
    "\n"
    "example\n"
    "  ttt series jobs/series-compare.yaml --slurm --dry-run";

enum standing { FINISHED, BUSY, MISSING, UNSURE };

/* What is a member doing? */
static enum standing standing_of(const struct run_state *s)
{
    if (s->rc != OK) return UNSURE;
    if (slurm_is_alive(s->job.state) || s->phase == RUN_RUNNING || s->phase == RUN_WAITING)
        return BUSY;
    return s->job.state == SLURM_UNKNOWN ? UNSURE : MISSING;
}

/* Have its steps been raised since all of them were done? */
static int is_raised(const struct run_state *s, const struct member *m)
{
    return s->phase == RUN_FINISHED && s->committed >= 0 && s->committed < m->conf->train.steps;
}

static void show(const struct run_state *s, const struct member *m)
{
    if (is_raised(s, m)) {
        printf("%-48s to continue: %lld of %lld steps are done\n", m->name,
               (long long)s->committed, (long long)m->conf->train.steps);
        return;
    }
    char *note = text_visible_copy(s->note);
    const char *name = m->name;
    printf("%-48s %s%s%s\n", name, run_phase_name(s->phase), note[0] ? ": " : "", note);
    mem_free(note);
}

/* SLURM or a folder does not tell: nothing is started that may be under way. */
static int allow(const struct run_state *s, int n, const enum standing *standing, int *missing,
                 int anyway)
{
    for (int i = 0; i < n; i++) {
        if (standing[i] != UNSURE) continue;
        if (s[i].rc != OK) return fail(s[i].rc, "%s", s[i].error);
        if (!anyway)
            return fail(ERR_OWNER, "%s: %s: nothing is started or submitted; try again, or add "
                        "--submit-anyway if the job has certainly ended", s[i].dir, s[i].note);
        missing[i] = 1;
    }
    return OK;
}

/* Read the runs that have a folder and are not finished; the others stay zero. */
static void read_runs(struct run_state *state, const struct series *s, enum standing *standing)
{
    struct run_state *some = mem_new(s->n, sizeof *some, "series");
    int n = 0, k = 0;

    for (int i = 0; i < s->n; i++) {
        const char *dir = s->m[i].conf->run.dir;
        standing[i] = MISSING;
        if (!path_is_dir(dir)) continue;
        if (launch_newest(dir).step >= s->m[i].conf->train.steps) standing[i] = FINISHED;
        else run_state_read(&some[n++], dir);
    }
    run_states_judge(some, n);
    for (int i = 0; i < s->n; i++) {
        if (standing[i] == FINISHED || !path_is_dir(s->m[i].conf->run.dir)) continue;
        state[i] = some[k++];
        standing[i] = standing_of(&state[i]);
    }
    check(k == n);
    mem_free(some);
}

/* Show all; missing [out]: to be started.  check_only: start nothing. */
static int look_at_all(int *missing, const struct series *s, int check_only, int anyway)
{
    struct run_state *state = mem_new(s->n, sizeof *state, "series");
    enum standing *standing = mem_new(s->n, sizeof *standing, "series");
    int rc = OK, count[4] = { 0 };

    read_runs(state, s, standing);
    for (int i = 0; i < s->n; i++) {
        missing[i] = standing[i] == MISSING;
        count[standing[i]]++;
        if (state[i].dir) show(&state[i], &s->m[i]);
        else printf("%-48s %s\n", s->m[i].name, standing[i] == FINISHED ? "finished" : "new");
    }
    printf("%d runs: %d finished, %d active, %d to start", s->n, count[FINISHED], count[BUSY],
           count[MISSING]);
    if (count[UNSURE]) printf(", %d unknown", count[UNSURE]);
    printf("\n");
    fflush(stdout);
    if (!check_only) rc = allow(state, s->n, standing, missing, anyway);
    for (int i = 0; i < s->n; i++) run_state_done(&state[i]);
    mem_free(state);
    mem_free(standing);
    return rc;
}

/* The whole configuration of a member as a file in its folder; a counted path; NULL: reported. */
static char *run_file(const struct member *m)
{
    const char *dir = m->conf->run.dir;
    char *path = mem_format("%s/run.yaml", dir), *text = conf_text(m->conf);

    if (dir_make(dir) != OK || file_replace(path, text, strlen(text)) != OK) {
        mem_free(path);
        path = NULL;
    }
    mem_free(text);
    return path;
}

static int no_model(const struct member *m)
{
    return fail(ERR_MISSING, "%s: train.init_from: there is no model at %s", m->name,
                m->conf->start.from);
}

static int run_one(struct series *s, const struct arg_list *sets, int i)
{
    struct member *m = &s->m[i];
    struct launch_opts o = { .mpirun = TTT_MPIRUN };
    struct launch l = { .o = NULL };
    char *file = NULL;
    int rc = OK;

    if (m->conf->start.missing) TRY(series_resolve(s, m, sets));
    if (m->conf->start.missing) TRY(no_model(m));
    o.file = file = run_file(m);
    if (!file) TRY(ERR_IO);
    log_run("run %d of %d: %s", i + 1, s->n, m->name);
    TRY(launch_open(&l, &o));
    TRY(scheduler_hosts(&l));
    TRY(launch_plan(&l));
    rc = launch_run(&l);
out:
    launch_close(&l);
    mem_free(file);
    return rc;
}

/* One after another; a run that fails does not keep the next from starting. */
static int run_here(struct series *s, const struct arg_list *sets, const int *missing)
{
    int all = OK, failed = 0;

    launch_catch_signals();
    for (int i = 0; i < s->n; i++) {
        if (!missing[i]) continue;
        /* Asked when the run before was at its end already. */
        if (launch_signalled()) return all != OK ? all : ERR_SAVED;
        const int rc = run_one(s, sets, i);
        if (rc == ERR_SAVED) return rc;  /* asked to stop: the series, too */
        if (rc != OK) all = rc;
        failed += rc != OK;
    }
    if (failed) log_warn("%d of %d runs failed; the same command starts them again", failed, s->n);
    return all;
}

static int submit(const struct series *s, const int *missing, int dry)
{
    for (int i = 0; i < s->n; i++)
        if (missing[i] && s->m[i].conf->start.missing) return no_model(&s->m[i]);
    return series_submit(s, missing, dry);
}

static int show_status(const struct series *s)
{
    char *dir = mem_string(s->conf.series.dir);
    const int rc = run_states_show(&dir, 1, 0);
    mem_free(dir);
    return rc;
}

int cmd_series(int argc, char **argv)
{
    static struct arg_list sets;
    static struct series s;  /* large */
    struct arg_rest rest;
    int rc = OK, slurm = 0, dry = 0, anyway = 0, status = 0, *missing = NULL;
    const struct arg args[] = {
        { "slurm", ARG_FLAG, &slurm, NULL, "submit what is missing as job arrays" },
        { "dry-run", ARG_FLAG, &dry, NULL,
          "only list the runs, with --slurm also the batch scripts" },
        { "status", ARG_FLAG, &status, NULL,
          "only show the state of all runs, as ttt status does" },
        { "submit-anyway", ARG_FLAG, &anyway, NULL,
          "also start runs of which SLURM does not tell whether their jobs have ended" },
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key of every run" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, usage, about));
    if (rest.n < 0) return OK;
    if (rest.n != 1) TRY(fail(ERR_USAGE, "one SERIES.yaml is needed: %s", usage));
    if (!slurm && !dry && !status) output_optional();
    TRY(series_open(&s, rest.v[0], &sets));
    if (status) TRY(show_status(&s));
    if (status) goto out;
    missing = mem_new(s.n, sizeof *missing, "series");
    if (slurm && !dry) TRY(slurm_lock(s.conf.series.dir));
    TRY(look_at_all(missing, &s, dry, anyway));
    if (slurm) rc = submit(&s, missing, dry);
    else if (!dry) rc = run_here(&s, &sets, missing);
out:
    mem_free(missing);
    series_close(&s);
    return rc;
}
