/* SPDX-License-Identifier: Apache-2.0 */
/* ttt stop: ask runs for a checkpoint and the end, and end what only waits. */
#include <stdio.h>
#include <unistd.h>

#include "jobs/run_state.h"
#include "jobs/tool.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/store/run_note.h"

enum { LISTED = 20,     /* runs that a message names                        */
       ASK_EVERY = 10,  /* seconds between questions to SLURM while waiting */
       TRIES = 3 };     /* questions whether a job is gone                  */

static const char about[] =
    "Ask a run to save a checkpoint and end, wherever it runs, by a file STOP in its folder. A\n"
    "SLURM job of it that still waits is cancelled. Only its user starts the run again.\n"
    "\n"
    "example\n"
    "  ttt stop logs/my --wait";

/* --- what is it ------------------------------------------------------------------ */

/* Not a run: name those that are inside. */
static int no_run(const char *dir)
{
    char **names = NULL, *list = mem_string("");
    int count = 0, n = 0, rc = OK;

    TRY(dir_list(&names, &count, dir));
    for (int i = 0; i < count; i++) {
        char *run = mem_format("%s/%s", dir, names[i]);
        if (run_is_there(run) && n++ < LISTED) {
            char *longer = mem_format("%s %s", list, run);
            mem_free(list);
            list = longer;
        }
        mem_free(run);
    }
    if (n)
        rc = fail(ERR_USAGE, "%s is not a run but a folder of %d runs; name one of them:%s%s", dir, n, list,
                  n > LISTED ? " ..." : "");
    else rc = fail(ERR_MISSING, "%s: there is no run in this folder", dir);
out:
    mem_free(names);
    mem_free(list);
    return rc;
}

/* A state of one run, SLURM asked or not. */
static void look(struct run_state *s, const char *dir, int ask)
{
    run_state_read(s, dir);
    if (!ask) s->job.id[0] = s->own.id[0] = '\0';
    run_states_judge(s, 1);
}

/* --- its job ---------------------------------------------------------------------- */

/* Cancel a job that waits, and see that it is gone.
 * returns OK: it is, or it began meanwhile and reads STOP; ERR_IO, reported */
static int cancel(const char *dir, const char *id)
{
    struct slurm_fact f = { .id = "" };
    char out[256], why[TOOL_WHY];
    const int code = tool_ask(out, sizeof out, why, (char *const[]){ "scancel", (char *)id, NULL });

    snprintf(f.id, sizeof f.id, "%s", id);
    for (int i = 0; i < TRIES; i++) {
        if (i) sleep(1);
        slurm_ask(&f, 1);
        if (f.state != SLURM_PENDING) break;
    }
    if (f.state == SLURM_PENDING || f.state == SLURM_UNKNOWN)
        return fail(ERR_IO, "%s: job %s %s (scancel: %s; squeue: %s%s%s): scancel %s ends it; if "
                    "it starts, it will end at once", dir, id,
                    f.state == SLURM_PENDING ? "is still in the queue" : "may still be in the queue",
                    code ? why : "done", f.word, f.word[0] && f.why[0] ? ", " : "", f.why, id);
    if (slurm_is_alive(f.state)) {
        log_phase("%s: job %s started meanwhile and was told to end", dir, id);
        return OK;
    }
    /* SLURM may forget at once a job that never began. */
    run_note(dir, "cancel", json_pack("{s:s}", "id", id));
    log_phase("%s: job %s was waiting and is cancelled", dir, id);
    return OK;
}

/* Report whether a process reads STOP. */
static int tell(const struct run_state *s)
{
    const struct slurm_fact *j = &s->job;

    switch (s->phase) {
    case RUN_RUNNING: case RUN_SILENT: case RUN_HUNG:
        log_phase("%s: asked to save a checkpoint and end%s%s", s->dir, s->host[0] ? " on " : "",
                  s->host);
        return OK;
    case RUN_SUSPENDED:
        log_phase("%s: asked to save a checkpoint and end; job %s is suspended, and will do so when "
                  "it is resumed", s->dir, j->id);
        return OK;
    case RUN_WAITING:
        if (!j->id[0])
            log_phase("%s: asked to end; no process trains now, and none will be started", s->dir);
        else log_phase("%s: asked to end; job %s does not train yet, and will end before it does",
                       s->dir, j->id);
        return OK;
    case RUN_UNKNOWN:
        return fail(ERR_OWNER, "%s: its job may still be in the queue (%s); if it starts, it will end "
                    "at once; scancel %s ends it now", s->dir, s->note, j->id);
    default:
        log_warn("%s: nothing to stop: the run is %s; it will not be restarted automatically",
                 s->dir, run_phase_name(s->phase));
        return OK;
    }
}

static int ask(const char *dir)
{
    struct run_state s = { .dir = NULL };
    char *path = mem_format("%s/STOP", dir);
    int rc = OK;

    if (!path_is_dir(dir)) TRY(fail(ERR_MISSING, "%s: there is no such run", dir));
    if (!run_is_there(dir)) TRY(no_run(dir));
    /* First: what begins while we look at it reads it. */
    TRY(file_replace(path, "", 0));
    look(&s, dir, 1);
    if (s.phase == RUN_UNREADABLE)
        TRY(fail(s.rc, "%s: %s; the file STOP is in its folder, but it is not known whether a process "
                 "reads it", dir, s.error));
    /* Of a chain the next job waits while this one trains, and this one cancels it when it ends. */
    const int waits = s.phase == RUN_WAITING;
    if (waits && s.job.state == SLURM_PENDING) rc = cancel(dir, s.job.id);
    else if (waits && s.own.state == SLURM_PENDING) rc = cancel(dir, s.own.id);
    else rc = tell(&s);
out:
    run_state_done(&s);
    mem_free(path);
    return rc;
}

/* Does it train or wait?  A process that hangs here is ended by its watchdog. */
static int is_busy(const char *dir, int ask_slurm)
{
    struct run_state s;

    look(&s, dir, ask_slurm);
    const int busy = s.phase == RUN_RUNNING || s.phase == RUN_WAITING || s.phase == RUN_SUSPENDED ||
                     s.phase == RUN_SILENT || (s.phase == RUN_HUNG && s.facts.life == FENCE_ALIVE);
    run_state_done(&s);
    return busy;
}

static void wait_end(const char *dir)
{
    for (int i = 1; (i % ASK_EVERY && is_busy(dir, 0)) || is_busy(dir, 1); i++) sleep(1);
}

int cmd_stop(int argc, char **argv)
{
    struct arg_rest rest;
    int rc = OK, wait = 0;
    const struct arg args[] = {
        { "wait", ARG_FLAG, &wait, NULL, "wait until the run has ended" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, "ttt stop RUN ... [--wait]",
                   about));
    if (rest.n < 0) return OK;
    if (!rest.n) TRY(fail(ERR_USAGE, "expected a run: ttt stop RUN"));
    for (int i = 0; i < rest.n; i++) {
        const int one = ask(rest.v[i]);
        if (rc == OK) rc = one;
    }
    if (wait && rc == OK)
        for (int i = 0; i < rest.n; i++) wait_end(rest.v[i]);
out:
    return rc;
}
