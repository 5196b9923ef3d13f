/* ttt status: look at runs. */
#include <stdio.h>
#include <unistd.h>

#include "jobs/run_state.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

static const char about[] =
    "Show the state of runs, from their folders and from squeue and sacct: step, loss, rate, time\n"
    "left, last checkpoint, restarts, SLURM job, and the reason of the state (jobs/RUNS.md).\n"
    "RUN is a run's folder or a folder of runs (default logs). A run that cannot be read in full\n"
    "has a note in its row, and the exit code is then not 0.\n"
    "\n"
    "example\n"
    "  ttt status logs --watch 10";

struct runs { struct run_state *v; int n; };

static void add(struct runs *r, const char *dir)
{
    r->v = mem_resize(r->v, r->n + 1, sizeof *r->v, "runs");
    run_state_read(&r->v[r->n++], dir);
}

/* All runs in a folder, or a row that tells why they are not known. */
static void add_all(struct runs *r, const char *dir)
{
    char **names = NULL;
    int count = 0;
    const int before = r->n;

    log_speaker(0);
    const int rc = dir_list(&names, &count, dir);
    log_speaker(1);
    if (rc != OK) {
        add(r, dir);
        struct run_state *s = &r->v[r->n - 1];
        mem_free(s->error);
        s->error = mem_string(log_last_error());
        s->rc = rc;
        s->facts.unreadable = 1;
    }
    for (int i = 0; i < count; i++) {
        char *run = mem_format("%s/%s", dir, names[i]);
        if (run_is_there(run)) add(r, run);
        mem_free(run);
    }
    if (r->n == before) log_warn("%s: there is no run in this folder", dir);
    mem_free(names);
}

/* The first run that could not be read in full decides the exit code. */
static int verdict(const struct runs *r)
{
    int rc = OK, bad = 0, first = 0;

    for (int i = 0; i < r->n; i++) {
        if (r->v[i].rc == OK) continue;
        if (!bad++) first = i;
    }
    if (bad) rc = r->v[first].rc;
    if (bad == 1) return fail(rc, "%s", r->v[first].error);
    return bad ? fail(rc, "%d of %d runs can't be read in full; the first: %s", bad, r->n,
                      r->v[first].error) : OK;
}

static int show(char **dirs, int count, int json)
{
    struct runs r = { NULL, 0 };

    for (int i = 0; i < count; i++) {
        if (path_is_dir(dirs[i]) && !run_is_there(dirs[i])) add_all(&r, dirs[i]);
        else add(&r, dirs[i]);
    }
    run_states_judge(r.v, r.n);
    if (json) {
        json_t *all = json_array();
        for (int i = 0; i < r.n; i++) json_array_append_new(all, run_state_json(&r.v[i]));
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
    } else run_state_print(r.v, r.n);
    const int rc = verdict(&r);
    for (int i = 0; i < r.n; i++) run_state_done(&r.v[i]);
    mem_free(r.v);
    return rc;
}

int cmd_status(int argc, char **argv)
{
    static char logs[] = "logs";
    char *all[] = { logs };
    struct arg_rest rest;
    int64_t watch = 0;
    int rc = OK, json = 0, seen = OK;
    const struct arg args[] = {
        { "watch", ARG_INT, &watch, "S", "repeat every S seconds, until interrupted" },
        { "json", ARG_FLAG, &json, NULL, "print JSON" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt status [RUN ...] [--watch S]", about));
    if (rest.n < 0) return OK;
    if (watch < 0 || watch > 86400) TRY(fail(ERR_USAGE, "--watch: expected 1 to 86400 seconds"));
    for (;;) {
        if (watch && isatty(STDOUT_FILENO)) printf("\033[H\033[2J");
        seen = show(rest.n ? rest.v : all, rest.n ? rest.n : 1, json);
        TRY(output_check());
        if (!watch) break;
        sleep((unsigned)watch);
    }
    rc = seen;
out:
    return rc;
}
