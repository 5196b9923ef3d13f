/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/slurm.h"
#include "jobs/tool.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/text_file.h"
#include "src/store/run_note.h"

#define MAX_FILE ((size_t)1 << 24)   /* of a file with a line for each slot */

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

/* --- hosts ------------------------------------------------------------------------ */

/* A file with a line for each slot, the name of its host. */
static int from_lines(struct launch *l, const char *path)
{
    char *text = NULL, *rest;
    size_t n = 0;
    int rc;

    TRY(text_file_read(&text, &n, path, MAX_FILE));
    rest = text;
    for (char *line; rc == OK && (line = strsep(&rest, "\n")) != NULL;) {
        line += strspn(line, " \t");
        line[strcspn(line, " \t\r")] = '\0';
        if (line[0]) rc = hosts_add(&l->hosts, &l->n_hosts, line, 1, path);
    }
out:
    mem_free(text);
    return rc;
}

/* "node1 4 node2 4" */
static int from_pairs(struct launch *l, const char *name)
{
    char *text = mem_string(variable(name)), *rest = NULL;
    int rc = OK;

    for (char *host = strtok_r(text, " ", &rest); rc == OK && host;
         host = strtok_r(NULL, " ", &rest)) {
        const char *count = strtok_r(NULL, " ", &rest);
        int64_t slots = 0;
        if (!count || !text_int(&slots, count))
            rc = fail(ERR_CONFIG, "%s: expected a number of slots after host %s", name, host);
        else rc = hosts_add(&l->hosts, &l->n_hosts, host, slots, name);
    }
    mem_free(text);
    return rc;
}

static int pbs(struct launch *l)
{
    if (variable("PBS_NODEFILE")[0]) return from_lines(l, variable("PBS_NODEFILE"));
    return fail(ERR_CONFIG, "PBS_NODEFILE is not set, which names the hosts of the job");
}

static int lsf(struct launch *l)
{
    if (variable("LSB_DJOB_HOSTFILE")[0]) return from_lines(l, variable("LSB_DJOB_HOSTFILE"));
    return from_pairs(l, "LSB_MCPU_HOSTS");
}

/* Flux knows cores, not slots, and starts the script without variables about them. */
static int flux(struct launch *l)
{
    static char text[1 << 20], command[] = "flux resource list";
    char why[TOOL_WHY];
    int cores = 0, at = 0, named = 0, rc = OK;
    const int code = tool_ask(text, sizeof text, why, (char *const[]){
        "flux", "resource", "list", "-n", "-s", "free", "-o", "{ncores} {nodelist}", NULL });

    if (code != 0) TRY(fail(ERR_CONFIG, "%s: %s", command, why));
    text[strcspn(text, "\n")] = '\0';
    if (sscanf(text, "%9d %n", &cores, &at) != 1 || !at || cores < 1)
        TRY(fail(ERR_CONFIG, "%s: expected cores and hosts, found '%.100s'", command, text));
    TRY(hosts_expand(&l->hosts, &l->n_hosts, text + at, command));
    for (int i = 0; i < l->n_hosts; i++) named += l->hosts[i].slots;
    for (int i = 0; i < l->n_hosts && cores > named; i++) l->hosts[i].slots *= cores / named;
out:
    return rc;
}

static const struct { const char *name, *job; int (*hosts)(struct launch *l); } schedulers[] = {
    { "SLURM", "SLURM_JOB_ID", slurm_allocation },
    { "PBS",   "PBS_JOBID",    pbs },
    { "LSF",   "LSB_JOBID",    lsf },
    { "Flux",  "FLUX_URI",     flux },
};

/* --- how many processes on each ------------------------------------------------------- */

/* The number of processes that the user asks for; 0: as many as there are slots. */
static int64_t wanted(const struct launch *l)
{
    const char *text = l->o->grid ? l->o->grid : l->conf->run.grid;
    struct grid_shape grid;

    if (strcmp(text, "auto") != 0 && grid_parse(&grid, text) == OK) return grid_ranks(&grid);
    return l->o->ranks ? l->o->ranks : l->conf->launch.ranks;
}

/* Deal n processes out, one to each host in turn. */
static void share(struct launch *l, int64_t n)
{
    int *most = mem_new(l->n_hosts, sizeof *most, "hosts"), used = 0;

    for (int i = 0; i < l->n_hosts; i++) {
        most[i] = l->hosts[i].slots;
        l->hosts[i].slots = 0;
    }
    for (int i = 0; n > 0; i = (i + 1) % l->n_hosts)
        if (l->hosts[i].slots < most[i]) l->hosts[i].slots++, n--;
    while (used < l->n_hosts && l->hosts[used].slots) used++;
    l->n_hosts = used;
    mem_free(most);
}

int scheduler_hosts(struct launch *l)
{
    const size_t rows = sizeof schedulers / sizeof *schedulers;
    size_t k = 0;
    int64_t slots = 0;
    int rc = OK;

    while (k < rows && !variable(schedulers[k].job)[0]) k++;
    if (l->hosts || k == rows) return OK;
    TRY(schedulers[k].hosts(l));
    for (int i = 0; i < l->n_hosts; i++) slots += l->hosts[i].slots;
    if (!slots) TRY(fail(ERR_CONFIG, "it names no host"));
    l->scheduler = schedulers[k].name;
    const int64_t n = wanted(l);
    if (n > 0 && n < slots) share(l, n);
    if (!l->job[0])
        log_run("%s job %s: %d host%s, %lld slots", l->scheduler, variable(schedulers[k].job),
                l->n_hosts, &"s"[l->n_hosts == 1], (long long)slots);
out:
    if (rc != OK)
        fail(rc, "the hosts of this %s job are not known; --hosts A:4,B:4 names them",
             schedulers[k].name);
    return rc;
}

/* --- jobs after each other -------------------------------------------------------------- */

/* Only its user starts the run again: that needs another exit code than 85. */
static int stopped(const struct launch *l, const char *when)
{
    const int rc = launch_clear_stop(l->conf->run.dir);

    if (when[0]) run_note(l->conf->run.dir, "cancel", NULL);
    log_run("%s was asked to stop%s: the exit code is not 85, so that this job is not submitted "
            "again", l->conf->run.dir, when);
    return rc;
}

static int begin(const struct launch *l)
{
    const char *dir = l->conf->run.dir;
    const int64_t step = launch_newest(dir).step;
    const int before = launch_fruitless_jobs(dir, step);

    if (before < LAUNCH_FRUITLESS) {
        run_note(dir, "job", json_pack("{s:s,s:I}", "scheduler", l->scheduler, "committed", step));
        return OK;
    }
    run_note(dir, "end", json_pack("{s:i}", "status", -ERR_NO_PROGRESS));
    return fail(ERR_NO_PROGRESS, "%d jobs began at step %lld and brought no new checkpoint: giving "
                "up; give jobs more time, or save more often (checkpoint.every_minutes)", before,
                (long long)(step < 0 ? 0 : step));
}

int scheduler_run(struct launch *l)
{
    const char *dir = l->conf->run.dir;
    int rc;

    if (!l->scheduler) return launch_run(l);
    launch_catch_signals();
    if (launch_stop_requested(dir)) return stopped(l, " while this job waited");
    TRY(begin(l));
    rc = launch_run(l);
    if (rc == ERR_SAVED && launch_stop_requested(dir)) rc = stopped(l, "");
    else if (rc == ERR_SAVED)
        log_run("exit code 85: submit the job again to continue");
out:
    return rc;
}
