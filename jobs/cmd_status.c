/* ttt status and ttt stop: look at runs, and ask one to end. */
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
#include "src/store/fence.h"

static const char status_about[] =
    "What runs are doing, from their folders alone: state, step, loss, rate, time left,\n"
    "last checkpoint, restarts, SLURM job. RUN is a run's folder or a folder of runs\n"
    "(default logs).";
static const char stop_about[] =
    "Ask a run for a checkpoint and a clean end, wherever it runs, by a file STOP in its\n"
    "folder; nothing but its user starts it again.";

/* --- status ---------------------------------------------------------------------- */

static int is_run(const char *dir)
{
    static const char *const marks[] = { "fence", "launch.jsonl", "metrics.jsonl", "ckpt" };
    int yes = 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks && !yes; i++) {
        char *path = mem_format("%s/%s", dir, marks[i]);
        yes = path_exists(path);
        mem_free(path);
    }
    return yes;
}

/* All runs under `dir`, as states that are appended. */
static int add_all(struct run_state **list, int *n, const char *dir)
{
    char **names = NULL;
    int count = 0, rc = OK;

    TRY(dir_list(&names, &count, dir));
    for (int i = 0; i < count && rc == OK; i++) {
        char *run = mem_format("%s/%s", dir, names[i]);
        if (is_run(run)) {
            *list = mem_resize(*list, *n + 1, sizeof **list, "runs");
            rc = run_state_read(&(*list)[(*n)++], run);
        }
        mem_free(run);
    }
out:
    mem_free(names);
    return rc;
}

static int read_all(struct run_state **list, int *n, char **dirs, int count)
{
    int rc = OK;

    *list = NULL;
    *n = 0;
    for (int i = 0; i < count && rc == OK; i++) {
        if (path_is_dir(dirs[i]) && !is_run(dirs[i])) {
            rc = add_all(list, n, dirs[i]);
            continue;
        }
        *list = mem_resize(*list, *n + 1, sizeof **list, "runs");
        rc = run_state_read(&(*list)[(*n)++], dirs[i]);
    }
    return rc;
}

static int show(char **dirs, int count, int json)
{
    struct run_state *list;
    int n;
    const int rc = read_all(&list, &n, dirs, count);

    if (rc == OK && json) {
        json_t *all = json_array();
        for (int i = 0; i < n; i++) json_array_append_new(all, run_state_json(&list[i]));
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
    } else if (rc == OK) run_state_print(list, n);
    for (int i = 0; i < n; i++) run_state_done(&list[i]);
    mem_free(list);
    return rc;
}

int cmd_status(int argc, char **argv)
{
    static char logs[] = "logs";
    char *all[] = { logs };
    struct arg_rest rest;
    int64_t watch = 0;
    int rc = OK, json = 0;
    const struct arg args[] = {
        { "watch", ARG_INT, &watch, "S", "again every S seconds, until interrupted" },
        { "json", ARG_FLAG, &json, NULL, "print JSON" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt status [RUN ...] [--watch S]", status_about));
    if (rest.n < 0) return OK;
    if (watch < 0 || watch > 86400) TRY(fail(ERR_USAGE, "--watch: expected 1 to 86400 seconds"));
    for (;;) {
        if (watch && isatty(STDOUT_FILENO)) printf("\033[H\033[2J");
        TRY(show(rest.n ? rest.v : all, rest.n ? rest.n : 1, json));
        TRY(output_check());
        if (!watch) break;
        sleep((unsigned)watch);
    }
out:
    return rc;
}

/* --- stop ------------------------------------------------------------------------ */

static int ask(const char *dir)
{
    struct fence_owner o;
    char *path = mem_format("%s/STOP", dir);
    int rc = OK;

    if (!path_is_dir(dir)) TRY(fail(ERR_MISSING, "%s: there is no such run", dir));
    TRY(fence_look(&o, dir));
    if (o.life < FENCE_ALIVE)
        log_warn("%s: no process trains here; what starts it later by itself will not", dir);
    TRY(file_replace(path, "", 0));
    log_phase("%s: asked for a checkpoint and the end%s%s", dir, o.life < FENCE_ALIVE ? "" : " on ",
              o.life < FENCE_ALIVE ? "" : o.host);
out:
    mem_free(path);
    return rc;
}

static int wait_end(const char *dir)
{
    struct fence_owner o;
    int rc;

    for (;;) {
        rc = fence_look(&o, dir);
        if (rc != OK || o.life < FENCE_ALIVE) return rc;
        sleep(1);
    }
}

int cmd_stop(int argc, char **argv)
{
    struct arg_rest rest;
    int rc = OK, wait = 0;
    const struct arg args[] = {
        { "wait", ARG_FLAG, &wait, NULL, "return when it has ended" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, "ttt stop RUN ... [--wait]",
                   stop_about));
    if (rest.n < 0) return OK;
    if (!rest.n) TRY(fail(ERR_USAGE, "which run? ttt stop RUN"));
    for (int i = 0; i < rest.n; i++) TRY(ask(rest.v[i]));
    for (int i = 0; i < rest.n && wait; i++) TRY(wait_end(rest.v[i]));
out:
    return rc;
}
