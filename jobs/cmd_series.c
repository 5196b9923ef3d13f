/* ttt series: what is missing of many runs is run here, or submitted. */
#include <stdio.h>
#include <string.h>

#include "jobs/run_state.h"
#include "jobs/series.h"
#include "jobs/slurm.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

static const char usage[] = "ttt series SERIES.yaml [--slurm] [--dry-run] [--set key=value ...]";
static const char about[] =
    "Many runs from one file (jobs/README.md): those that are not finished are run one after\n"
    "another, or submitted as a SLURM job array. Again: only what is missing by then. Runs that\n"
    "are finished, running or in the queue are left alone. ttt status FOLDER shows them all.";

enum standing { FINISHED, BUSY, MISSING };

/* What is a member doing?  word [out] for people. */
static int look(enum standing *standing, char word[64], const struct member *m)
{
    const char *dir = m->conf->run.dir;
    struct run_state s;
    char id[SLURM_ID];
    int rc = OK;

    *standing = MISSING;
    snprintf(word, 64, "new");
    if (!path_is_dir(dir)) return OK;
    if (launch_newest(dir).step >= m->conf->train.steps) {
        *standing = FINISHED;
        snprintf(word, 64, "finished");
        return OK;
    }
    slurm_queued(id, dir);
    if (id[0]) {
        *standing = BUSY;
        snprintf(word, 64, "in the queue, job %s", id);
        return OK;
    }
    rc = run_state_read(&s, dir);
    if (rc == OK) {
        if (s.phase == RUN_RUNNING || (s.phase == RUN_WAITING && !s.job[0])) *standing = BUSY;
        snprintf(word, 64, "%s", run_phase_name(s.phase));
    }
    run_state_done(&s);
    return rc;
}

/* Show all; standing [out] of each. */
static int look_at_all(enum standing *standing, const struct series *s)
{
    int rc = OK, count[3] = { 0 };
    char word[64];

    for (int i = 0; i < s->n; i++) {
        TRY(look(&standing[i], word, &s->m[i]));
        count[standing[i]]++;
        printf("%-48s %s\n", s->m[i].name, word);
    }
    printf("%d runs: %d finished, %d under way, %d to do\n", s->n, count[FINISHED], count[BUSY],
           count[MISSING]);
    fflush(stdout);
out:
    return rc;
}

/* The whole configuration of a member as a file in its folder; a counted path, NULL: said. */
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
    struct launch_opts o = { .file = NULL };
    struct launch l = { .o = NULL };
    char *file = NULL;
    int rc = OK;

    if (m->conf->start.missing) TRY(series_resolve(s, m, sets));
    if (m->conf->start.missing) TRY(no_model(m));
    o.file = file = run_file(m);
    if (!file) TRY(ERR_IO);
    log_run("run %d of %d: %s", i + 1, s->n, m->name);
    TRY(launch_open(&l, &o));
    TRY(launch_plan(&l));
    rc = launch_run(&l);
out:
    launch_close(&l);
    mem_free(file);
    return rc;
}

/* One after another; a run that fails does not keep the next from starting. */
static int run_here(struct series *s, const struct arg_list *sets, const enum standing *standing)
{
    int all = OK, failed = 0;

    launch_hold();
    for (int i = 0; i < s->n; i++) {
        if (standing[i] != MISSING) continue;
        const int rc = run_one(s, sets, i);
        if (rc == ERR_SAVED) return rc;  /* asked to stop: the series, too */
        if (rc != OK) all = rc;
        failed += rc != OK;
    }
    if (failed) log_warn("%d of %d runs failed; the same command tries them again", failed, s->n);
    return all;
}

static int submit(const struct series *s, const int *missing, int dry)
{
    for (int i = 0; i < s->n; i++)
        if (missing[i] && s->m[i].conf->start.missing) return no_model(&s->m[i]);
    return series_submit(s, missing, dry);
}

int cmd_series(int argc, char **argv)
{
    static struct arg_list sets;
    static struct series s;  /* large */
    struct arg_rest rest;
    enum standing *standing = NULL;
    int rc = OK, slurm = 0, dry = 0;
    const struct arg args[] = {
        { "slurm", ARG_FLAG, &slurm, NULL, "submit what is missing as job arrays" },
        { "dry-run", ARG_FLAG, &dry, NULL, "only show the runs, with --slurm also the scripts" },
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key of every run" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, usage, about));
    if (rest.n < 0) return OK;
    if (rest.n != 1) TRY(fail(ERR_USAGE, "one SERIES.yaml is needed: %s", usage));
    if (!slurm && !dry) output_optional();
    TRY(series_open(&s, rest.v[0], &sets));
    standing = mem_new(s.n, sizeof *standing, "series");
    TRY(look_at_all(standing, &s));
    int *missing = mem_new(s.n, sizeof *missing, "series");
    for (int i = 0; i < s.n; i++) missing[i] = standing[i] == MISSING;
    if (slurm) rc = submit(&s, missing, dry);
    else if (!dry) rc = run_here(&s, &sets, standing);
    mem_free(missing);
out:
    mem_free(standing);
    series_close(&s);
    return rc;
}
