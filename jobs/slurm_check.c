/* SPDX-License-Identifier: Apache-2.0 */
/* What can be known before a job waits in the queue.  A program that is missing or does not answer is
 * a check less, never an error. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jobs/slurm.h"
#include "jobs/slurm_partition.h"
#include "jobs/tool.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"

enum { NO_MODULE = 99 };  /* exit code of a shell that has no command `module` */

/* The next text of a list; returns 0 at its end. */
static int next_item(char item[CONF_LIST_SIZE], const char **list)
{
    const size_t n = strcspn(*list, "\n");
    snprintf(item, CONF_LIST_SIZE, "%.*s", (int)n, *list);
    *list += n + ((*list)[n] == '\n');
    return item[0] != '\0';
}

/* --- files and modules ------------------------------------------------------------- */

static int check_source(const struct conf *c)
{
    const char *list = c->launch.slurm.source;
    char item[CONF_LIST_SIZE];
    int rc = OK;

    while (next_item(item, &list))
        /* Where a name has no slash, the shell looks in PATH first. */
        if (access(item, R_OK) != 0 && (strchr(item, '/') || !tool_is_there(item, R_OK)))
            rc = fail(ERR_MISSING, "launch.slurm.source: there is no file %s that can be read from here: "
                      "the job, which begins in this folder, would end at once", item);
    return rc;
}

/* The lines of the batch script that load modules, tried in a shell of this machine. */
static int check_modules(const struct conf *c)
{
    static char tried[CONF_LIST_SIZE];  /* a series asks for the same ones again */
    const char *list = c->launch.slurm.modules;
    char item[CONF_LIST_SIZE], failed[CONF_LIST_SIZE], why[TOOL_WHY];

    if (!list[0] || !strcmp(tried, list)) return OK;
    char *text = mem_format("command -v module >/dev/null || . /etc/profile >/dev/null 2>&1\n"
                            "command -v module >/dev/null || exit %d\n", NO_MODULE);
    while (next_item(item, &list)) {
        char *name = shell_word(item);
        char *more = mem_format("%smodule load %s >&2 || { echo %s; exit 1; }\n", text, name, name);
        mem_free(name);
        mem_free(text);
        text = more;
    }
    const int code = tool_ask(failed, sizeof failed, why, (char *const[]){ "bash", "-c", text, NULL });
    mem_free(text);
    failed[strcspn(failed, "\n")] = '\0';
    if (code == 1 && failed[0])
        return fail(ERR_CONFIG, "launch.slurm.modules: `module load %s` fails here (%s): `module avail` "
                    "lists what there is", failed, why);
    snprintf(tried, sizeof tried, "%s", c->launch.slurm.modules);
    return OK;
}

/* --- nodes, CPUs, time ------------------------------------------------------------- */

/* What the cluster has for a run. */
struct offer {
    struct node_group *g;      /* owned; NULL: sinfo does not answer  */
    int                n;
    struct default_memory of_partition;
    int64_t            memory; /* of the largest node that has enough CPUs; 0: not known */
};

static int64_t cpus_of(const struct conf *c)
{
    return (int64_t)c->launch.slurm.tasks_per_node * c->launch.slurm.cpus_per_task;
}

/* Does the group belong to the partition?  "": SLURM's default. */
static int is_in(const struct node_group *g, const char *partition)
{
    return partition[0] ? !strcmp(g->partition, partition) : g->preset;
}

static int no_partition(const struct offer *o, const char *name)
{
    char *all = mem_string("");

    for (int i = 0; i < o->n; i++) {
        int seen = 0;
        for (int j = 0; j < i; j++) seen |= !strcmp(o->g[i].partition, o->g[j].partition);
        if (seen) continue;
        char *more = mem_format("%s%s%s", all, all[0] ? ", " : "", o->g[i].partition);
        mem_free(all);
        all = more;
    }
    const int rc = fail(ERR_CONFIG, "launch.slurm.partition: this cluster has no partition '%s'; it has "
                        "%s", name, all);
    mem_free(all);
    return rc;
}

/* Can one partition ever run the job?  tell: report why not, else return 0 silently. */
static int can_run(struct offer *o, const struct conf *c, const char *partition, int tell)
{
    const struct node_group *one = NULL;
    const int64_t cpus = cpus_of(c), time_s = conf_slurm_time(c->launch.slurm.time);
    int64_t most = 0, fit = 0, up = 0, memory = 0;

    for (int i = 0; i < o->n; i++) {
        const struct node_group *g = &o->g[i];
        if (!is_in(g, partition)) continue;
        one = g;
        if (g->cpus > most) most = g->cpus;
        if (g->cpus < cpus) continue;
        fit += g->nodes;
        up += g->down ? 0 : g->nodes;
        if (g->memory > memory) memory = g->memory;
    }
    if (!one) {
        if (tell && partition[0]) no_partition(o, partition);
        return !partition[0];  /* no default partition is known: SLURM decides */
    }
    const int long_enough = one->limit_s < 0 || time_s <= one->limit_s;
    if (tell && !long_enough)
        fail(ERR_CONFIG, "launch.slurm.time is %s, but a job in partition %s may take %s: set at most "
             "that, the run continues in the next job", c->launch.slurm.time, one->partition,
             one->limit);
    if (tell && !fit)
        fail(ERR_CONFIG, "launch.slurm.tasks_per_node x cpus_per_task is %lld CPUs on a node, but the "
             "nodes of partition %s have at most %lld", (long long)cpus, one->partition,
             (long long)most);
    if (tell && fit && fit < c->launch.slurm.min_nodes)
        fail(ERR_CONFIG, "launch.slurm.%snodes is %d, but partition %s has %lld node%s of %lld CPUs or "
             "more", c->launch.slurm.min_nodes < c->launch.slurm.nodes ? "min_" : "",
             c->launch.slurm.min_nodes, one->partition, (long long)fit, &"s"[fit == 1],
             (long long)cpus);
    if (!long_enough || fit < c->launch.slurm.min_nodes) return 0;
    if (up < c->launch.slurm.min_nodes)
        log_warn("partition %s: only %lld of %lld nodes that fit are up: the job waits for the others",
                 one->partition, (long long)up, (long long)fit);
    if (memory > o->memory) o->memory = memory;
    return 1;
}

/* A job may name several partitions: one is enough. */
static int check_partitions(struct offer *o, const struct conf *c)
{
    char *names = mem_string(c->launch.slurm.partition), *rest = names, *name;
    int good = 0;

    if (!o->g) good = 1;
    while (!good && (name = strsep(&rest, ",")) != NULL) good = can_run(o, c, name, 0);
    mem_free(names);
    if (good) return OK;
    rest = names = mem_string(c->launch.slurm.partition);
    while ((name = strsep(&rest, ",")) != NULL) can_run(o, c, name, 1);
    mem_free(names);
    return ERR_CONFIG;
}

/* --- memory, grid ------------------------------------------------------------------ */

/* "4G" as sbatch reads it, in bytes; 0: it is not a size, or means all of a node. */
static int64_t size_of(const char *text)
{
    static const char units[] = "KMGT";
    int64_t n = 0;
    const char *end = text_whole(&n, text), *unit = units + 1;

    if (!end || n <= 0) return 0;
    if (*end && (!isalpha((unsigned char)*end) || !(unit = strchr(units, toupper(*end))))) return 0;
    if (*end && end[1] && strcasecmp(end + 1, "B") != 0) return 0;
    const int shift = 10 * (int)(unit - units + 1);
    return n <= INT64_MAX >> shift ? n << shift : 0;
}

/* The value of an option of sbatch, or NULL. */
static const char *option(char item[CONF_LIST_SIZE], const struct conf *c, const char *name)
{
    const char *list = c->launch.slurm.options;
    const size_t n = strlen(name);

    while (next_item(item, &list))
        if (!strncmp(item, name, n) && (item[n] == '=' || !item[n])) return item + n + (item[n] == '=');
    return NULL;
}

/* What a job gets on a node, in bytes; 0: not known.  from [out]: why, for messages. */
static int64_t memory_of_job(char from[LAUNCH_LIMIT], const struct offer *o, const struct conf *c)
{
    const struct default_memory *d = &o->of_partition;
    const int64_t asked = size_of(c->launch.slurm.memory);
    char item[CONF_LIST_SIZE];
    const char *each = option(item, c, "--mem-per-cpu");
    int64_t bytes = o->memory;

    snprintf(from, LAUNCH_LIMIT, " (its partition's largest nodes)");
    if (asked) {
        bytes = asked;
        snprintf(from, LAUNCH_LIMIT, " (launch.slurm.memory is %s)", c->launch.slurm.memory);
    } else if (each && size_of(each)) {
        bytes = size_of(each) * cpus_of(c);
        snprintf(from, LAUNCH_LIMIT, " (--mem-per-cpu=%.20s in launch.slurm.options)", each);
    } else if (!c->launch.slurm.memory[0] && !option(item, c, "--exclusive") &&
               (d->node_mib || d->cpu_mib)) {
        bytes = (d->node_mib ? d->node_mib : d->cpu_mib * cpus_of(c)) << 20;
        snprintf(from, LAUNCH_LIMIT, " (the partition's default: set launch.slurm.memory)");
    }
    return bytes;
}

static int check_size(const struct offer *o, const struct conf *c)
{
    char want[HUMAN_TEXT], have[HUMAN_TEXT];
    const int64_t asked = size_of(c->launch.slurm.memory);

    if (!o->memory || asked <= o->memory) return OK;
    return fail(ERR_CONFIG, "launch.slurm.memory asks for %s, but the partition's nodes have at most %s",
                human_bytes(want, asked), human_bytes(have, o->memory));
}

/* Plan the run for so many nodes of the job, as it will be planned there. */
static int plan_on(const struct launch *l, int nodes, const struct offer *o)
{
    const struct conf *c = l->conf;
    struct launch job = *l;
    int rc = OK;

    job.remote = 1;
    job.hosts = mem_new(nodes, sizeof *job.hosts, "nodes");
    job.n_hosts = nodes;
    for (int i = 0; i < nodes; i++) {
        snprintf(job.hosts[i].name, sizeof job.hosts[i].name, "node%d", i + 1);
        job.hosts[i].slots = c->launch.slurm.tasks_per_node;
    }
    const int64_t memory = memory_of_job(job.limit, o, c);
    job.machine = (struct machine){ .cores = (int)cpus_of(c), .numa = 1 };
    job.machine.memory = job.machine.installed = memory ? memory : INT64_MAX / 4;
    TRY(launch_plan(&job));
    if (strcmp(c->run.grid, "auto") != 0 && job.ranks < nodes * c->launch.slurm.tasks_per_node)
        log_warn("run.grid %s has work for %d of the job's %d processes", c->run.grid, job.ranks,
                 nodes * c->launch.slurm.tasks_per_node);
out:
    mem_free(job.hosts);
    return rc;
}

/* A series asks for the nodes once, and for a partition when it is another one. */
static void ask(struct offer *o, const struct conf *c)
{
    static char partition[sizeof c->launch.slurm.partition];
    static int asked;

    if (!asked) slurm_nodes(&o->g, &o->n);
    if (!asked || strcmp(partition, c->launch.slurm.partition) != 0)
        slurm_partition(&o->of_partition, c);
    asked = 1;
    snprintf(partition, sizeof partition, "%s", c->launch.slurm.partition);
    o->memory = 0;
}

int slurm_check(const struct launch *l)
{
    static struct offer o;
    const struct conf *c = l->conf;
    const int nodes = c->launch.slurm.nodes, least = c->launch.slurm.min_nodes;

    ask(&o, c);
    const int source = check_source(c), modules = check_modules(c);
    int rc = check_partitions(&o, c);
    if (rc == OK) rc = check_size(&o, c);
    if (rc == OK) rc = plan_on(l, nodes, &o);
    if (rc == OK && least < nodes) {
        log_phase("with launch.slurm.min_nodes, %d of %d nodes:", least, nodes);
        rc = plan_on(l, least, &o);
    }
    return source != OK ? source : modules != OK ? modules : rc;
}

/* --- as sbatch says ---------------------------------------------------------------- */

/* Words of SLURM about what waiting does not change. */
static int is_final(const char *why)
{
    static const char *const words[] = {
        "nvalid", "not permitted", "More processors", "configuration is not available",
        "Memory required", "violates", "exceeds",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(why, words[i])) return 1;
    return 0;
}

int slurm_test(const char *script)
{
    char path[64], out[256], why[TOOL_WHY];
    const size_t n = strlen(script);
    /* Open in sbatch, too: nothing has to be written into a folder yet. */
    const int fd = memfd_create("job.sh", 0);
    int code = TOOL_MISSING;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && file_write(fd, script, n, path) == OK)
        code = tool_ask(out, sizeof out, why, (char *const[]){ "sbatch", "--test-only", path, NULL });
    if (fd >= 0) close(fd);
    if (code <= 0 || code > 128) return OK;
    if (is_final(why))
        return fail(ERR_CONFIG, "SLURM would refuse this job: %s: change launch.slurm (account, qos, "
                    "partition, time, nodes, options)", why);
    log_warn("sbatch --test-only: %s", why);
    return OK;
}
