/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a job: its nodes, whether another start can make progress, and what follows the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "jobs/tool.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/store/run_note.h"

enum { ASKED = 3 };  /* times that SLURM is asked for the state of our job */

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

/* --- nodes ----------------------------------------------------------------------- */

/* The next number of "2(x3),1", and how often it is repeated. */
static int next_count(int *count, int *times, const char **text)
{
    int n = 0;

    *times = 1;
    if (sscanf(*text, "%6d%n", count, &n) != 1 || *count < 1) return 0;
    *text += n;
    if (**text == '(') {
        n = 0;
        if (sscanf(*text, "(x%6d)%n", times, &n) != 1 || !n || *times < 1) return 0;
        *text += n;
    }
    if (**text == ',') (*text)++;
    else if (**text) return 0;
    return 1;
}

/* "a\nb\n" and "2(x2)" -> "a:2,b:2", a counted string; NULL: they do not fit each other. */
static char *pairs(char *names, const char *counts)
{
    char *list = mem_string(""), *name;
    int count = 0, times = 0;

    while ((name = strsep(&names, "\n")) != NULL) {
        if (!name[0]) continue;
        if (times == 0 && !next_count(&count, &times, &counts)) break;
        times--;
        char *longer = mem_format("%s%s%s:%d", list, list[0] ? "," : "", name, count);
        mem_free(list);
        list = longer;
    }
    if (!name && !times && !counts[0] && list[0]) return list;
    mem_free(list);
    return NULL;
}

int slurm_hosts(struct launch *l)
{
    static char names[1 << 20];
    const char *nodes = variable("SLURM_JOB_NODELIST"), *tasks = variable("SLURM_TASKS_PER_NODE");
    const char *promised = variable("SLURM_NTASKS");
    char *list = NULL;
    int64_t n = 0, sum = 0;
    int rc = OK;

    run_job(l->job);
    if (!l->job[0])
        TRY(fail(ERR_USAGE,
                 "--inside-slurm works only inside a SLURM job: SLURM_JOB_ID is not set"));
    if (tool(names, sizeof names, 0, "scontrol", "show", "hostnames", (char *)nodes) == 0)
        list = pairs(names, tasks);
    if (!list)
        TRY(fail(ERR_CONFIG, "job %s: can't interpret the nodes '%.200s' with the tasks '%.100s'",
                 l->job, nodes, tasks));
    snprintf(l->limit, sizeof l->limit, " for this job (launch.slurm.memory)");
    /* For srun, also as mpirun calls it: it must not wait for resources that a dead node holds. */
    setenv("SLURM_OVERLAP", "1", 1);
    mem_free(l->hosts);
    TRY(hosts_parse(&l->hosts, &l->n_hosts, list));
    for (int i = 0; i < l->n_hosts; i++) sum += l->hosts[i].slots;
    if (promised[0] && (!text_int(&n, promised) || n != sum))
        TRY(fail(ERR_CONFIG, "job %s: SLURM promises %.20s tasks (SLURM_NTASKS), but its nodes have %lld "
                 "(%.100s)", l->job, promised, (long long)sum, tasks));
    log_run("SLURM job %s%s%s on %s: %d node%s, %lld processes", l->job,
            variable("SLURM_RESTART_COUNT")[0] ? ", restart " : "",
            variable("SLURM_RESTART_COUNT"), nodes, l->n_hosts, &"s"[l->n_hosts == 1],
            (long long)sum);
out:
    mem_free(list);
    return rc;
}

int slurm_is_requeued(void) { return atoi(variable("SLURM_RESTART_COUNT")) > 0; }

int slurm_nodes_suffice(const struct launch *l)
{
    int left = 0;

    for (int i = 0; i < l->n_hosts; i++) left += !l->hosts[i].lost;
    if (left >= l->conf->launch.slurm.min_nodes) return OK;
    log_warn("%d of %d nodes are left, but launch.slurm.min_nodes is %d: this job ends", left,
             l->n_hosts, l->conf->launch.slurm.min_nodes);
    return ERR_SAVED;
}

/* --- the next job ------------------------------------------------------------------ */

/* In a chain the next job is submitted at the start of this one, so that no end of this one breaks
 * the chain. */
static int next_of_chain(const struct launch *l)
{
    const char *dir = l->conf->run.dir;
    char id[SLURM_ID], *script = mem_format("%s/slurm/job.sh", dir);
    int rc = OK;

    setenv("TTT_AFTER_JOB", variable("SLURM_JOB_ID"), 1);  /* the next one inherits it: fence.c */
    TRY(slurm_submit_run(id, script, l->job, dir));
    log_phase("job %s starts after this one has ended", id);
out:
    mem_free(script);
    return rc;
}

int slurm_begin(const struct launch *l)
{
    const char *dir = l->conf->run.dir;
    const int64_t step = launch_newest(dir).step;
    const int before = launch_fruitless_jobs(dir, step);

    if (launch_stop_requested(dir)) {
        log_phase("%s: was asked to stop while this job waited", dir);
        run_note(dir, "cancel", json_pack("{s:s}", "id", l->job));
        return ERR_SAVED;
    }
    run_note(dir, "job", json_pack("{s:s,s:s,s:s,s:i,s:I}", "id", l->job, "number",
                                   variable("SLURM_JOB_ID"), "nodes", variable("SLURM_JOB_NODELIST"),
                                   "restarts", atoi(variable("SLURM_RESTART_COUNT")), "committed",
                                   step));
    if (before >= LAUNCH_FRUITLESS)
        return fail(ERR_NO_PROGRESS, "%d jobs began at step %lld and brought no new checkpoint: "
                    "giving up", before, (long long)(step < 0 ? 0 : step));
    if (!l->conf->launch.slurm.chain || step >= l->conf->train.steps) return OK;
    return next_of_chain(l);
}

/* What scontrol prints about this job from " JobState=" on, cut to `room`.  It is asked several
 * times, because the whole run depends on it.  returns 1, or 0 if there is no answer */
static int job_state(char *state, size_t room, const char *id)
{
    char text[1 << 16], *at = NULL;

    for (int i = 0; i < ASKED && !at; i++) {
        if (i) sleep((unsigned)(tool_wait_s() / ASKED));
        if (tool(text, sizeof text, 1, "scontrol", "show", "job", "-o", (char *)id) == 0)
            at = strstr(text, " JobState=");
    }
    snprintf(state, room, "%s", at ? at + 10 : "");
    return at != NULL;
}

/* Did SLURM or the user end the job?  Then it is not requeued from here. */
static int ended_by_slurm(const char *id)
{
    static const char *const ours[] = { "RUNNING", "TIMEOUT", "NODE_FAIL",
                                        "COMPLETING Reason=TimeLimit" };
    char state[128];

    if (!job_state(state, sizeof state, id)) return 0;  /* unknown: treated as running */
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!strncmp(state, ours[i], strlen(ours[i]))) return 0;
    state[strcspn(state, " \n")] = '\0';
    log_phase("job %s is %s: it is not requeued", id, state);
    return 1;
}

/* The run continues in another job.  returns OK if there is one, else ERR_SAVED */
static int go_on(const struct launch *l)
{
    char out[256], state[128];

    run_note(l->conf->run.dir, "queued", NULL);
    if (l->conf->launch.slurm.chain) return OK;
    if (tool(out, sizeof out, 0, "scontrol", "requeue", (char *)l->job) == 0) {
        log_phase("job %s is requeued", l->job);
        return OK;
    }
    /* A second job is submitted only if the first is certainly not in the queue: while it runs. */
    if (!job_state(state, sizeof state, l->job) ||
        (strncmp(state, "RUNNING", 7) != 0 && strncmp(state, "COMPLETING", 10) != 0)) {
        state[strcspn(state, " \n")] = '\0';
        log_warn("job %s can't be requeued, but may be in the queue nevertheless (%s): no other job "
                 "is submitted; if it does not start again, run ttt launch --slurm", l->job,
                 state[0] ? state : "SLURM does not answer");
        return ERR_SAVED;
    }
    log_warn("job %s can't be requeued: the next job is submitted; launch.slurm.chain needs no "
             "requeueing", l->job);
    return next_of_chain(l) == OK ? OK : ERR_SAVED;
}

int slurm_end(const struct launch *l, int rc)
{
    const char *dir = l->conf->run.dir;
    char next[SLURM_ID], out[256];

    if (rc == ERR_SAVED && !launch_stop_requested(dir) && !ended_by_slurm(l->job)) return go_on(l);
    if (slurm_job_id_read(next, dir) != OK) return rc;
    if (l->conf->launch.slurm.chain && next[0] && strcmp(next, l->job) != 0)
        tool(out, sizeof out, 1, "scancel", next);
    return rc;
}
