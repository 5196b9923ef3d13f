/* SPDX-License-Identifier: Apache-2.0 */
/* Choose processes, grid and threads, and check that they fit into memory and on the disk. */
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "jobs/launcher.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/forecast/forecast.h"
#include "src/forecast/rates_of_run.h"
#include "src/store/ckpt.h"

/* The largest number of processes on one host. */
static int most_slots(const struct launch *l)
{
    int most = l->hosts ? 0 : l->ranks;
    for (int i = 0; i < l->n_hosts; i++)
        if (!l->hosts[i].lost && l->hosts[i].slots > most) most = l->hosts[i].slots;
    return most < l->ranks ? most : l->ranks;
}

/* Slots of all hosts; -1: no hosts were named, so the user decides. */
static int all_slots(const struct launch *l)
{
    int n = 0;
    if (!l->hosts) return -1;
    for (int i = 0; i < l->n_hosts; i++)
        if (!l->hosts[i].lost) n += l->hosts[i].slots;
    return n;
}

static const char *grid_text(const struct launch *l)
{
    return l->o->grid ? l->o->grid : l->conf->run.grid;
}

/* The number of processes to start, if no grid is given. */
static int wanted(int *ranks, const struct launch *l)
{
    const int slots = all_slots(l);
    int64_t n = l->o->ranks ? l->o->ranks : l->conf->launch.ranks;

    if (n < 0 || n > GRID_RANKS) return fail(ERR_USAGE, "-n %lld is out of range", (long long)n);
    if (slots == 0) return fail(ERR_CONFIG, "no host is left to run on");
    if (!n) n = slots > 0 ? slots : l->machine.numa;
    if (slots > 0 && n > slots) {
        log_warn("%lld processes were asked for, but the hosts have %d slots: %d are started",
                 (long long)n, slots, slots);
        n = slots;
    }
    *ranks = (int)n;
    return OK;
}

/* A given grid determines the number of processes. */
static int given_grid(struct launch *l)
{
    const int64_t asked = l->o->ranks ? l->o->ranks : l->conf->launch.ranks;
    const int slots = all_slots(l), rc = grid_parse(&l->grid, grid_text(l));

    if (rc != OK) return rc;
    l->ranks = grid_ranks(&l->grid);
    if (asked && asked != l->ranks)
        return fail(ERR_CONFIG, "grid %s needs %d processes, but %lld were asked for", grid_text(l),
                    l->ranks, (long long)asked);
    if (slots >= 0 && l->ranks > slots && (l->remote || l->job[0]))
        return fail(ERR_CONFIG, "run.grid %s needs %d processes, but the job has %d on %d node%s "
                    "(launch.slurm.nodes, tasks_per_node); run.grid: auto chooses a grid that fits",
                    grid_text(l), l->ranks, slots, l->n_hosts, &"s"[l->n_hosts == 1]);
    if (slots >= 0 && l->ranks > slots)
        return fail(ERR_CONFIG, "grid %s needs %d processes, but the hosts have %d slots; "
                    "--grid auto chooses a grid that fits", grid_text(l), l->ranks, slots);
    return OK;
}

static int no_memory(const struct launch *l, const struct forecast *f, const struct rates *r)
{
    char want[HUMAN_TEXT], have[HUMAN_TEXT];
    return fail(ERR_MEMORY, "grid %dx%dx%d needs %s of memory on a machine that has %s%s; "
                "train.reduction, optim.state, train.remat, train.slice_tokens or more machines "
                "reduce that", f->grid.D, f->grid.P, f->grid.S, human_bytes(want, f->node_bytes),
                human_bytes(have, (int64_t)(r->node.memory_gib * 0x1p30)), l->limit);
}

static int fastest(struct launch *l, struct cost *c, struct rates *r)
{
    struct forecast *list = NULL;
    int count = 0, n = 0, rc;

    TRY(wanted(&n, l));
    l->ranks = forecast_ranks(c, n);
    if (l->ranks < n)
        log_warn("no grid gives work to all of %d processes: %d are started", n, l->ranks);
    r->node.ranks = c->in.ranks_per_node = most_slots(l);
    TRY(forecast_all(&list, &count, c, l->ranks, r));
    if (!list->fits) TRY(no_memory(l, list, r));
    l->grid = list->grid;
out:
    forecasts_free(list, count);
    return rc;
}

/* Threads of a process, at most: one that gets fewer cores takes fewer (base/openmp.h).  SLURM gives
 * it as many as its job asked for, whatever the machine has. */
static int threads_of(const struct launch *l)
{
    const int given = l->conf->launch.slurm.cpus_per_task;

    if (l->conf->run.threads) return l->conf->run.threads;
    const int threads = machine_threads(&l->machine, most_slots(l));
    return l->job[0] && threads > given ? given : threads;
}

static int fits(struct launch *l, struct cost *c, struct rates *r)
{
    struct forecast f = { .nodes = 0 };
    char a[HUMAN_TEXT], b[HUMAN_TEXT];

    omp_set_num_threads(threads_of(l));  /* a rank's threads have scratch of their own */
    r->node.ranks = c->in.ranks_per_node = most_slots(l);
    int rc = forecast_init(&f, c, &l->grid, r, 0);
    if (rc == OK && !f.fits) rc = no_memory(l, &f, r);
    l->predicted_bytes = f.node_bytes;
    if (rc == OK)
        log_phase("predicted memory: %s per process, %s per machine%s",
                  human_bytes(a, f.most.total), human_bytes(b, f.node_bytes),
                  f.in_place ? "; checkpoints are saved without a copy of the state, for lack of room"
                             : "");
    forecast_done(&f);
    return rc;
}

/* Free bytes on the disk of the run's folder, which may not exist yet; -1: unknown. */
static double free_bytes(const char *dir)
{
    struct statvfs fs;
    char *path = mem_string(dir);

    while (statvfs(path, &fs) != 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !strcmp(path, ".") || !strcmp(path, "/")) {
            mem_free(path);
            return -1;
        }
        if (!slash) strcpy(path, ".");
        else slash[slash == path] = '\0';
    }
    mem_free(path);
    return (double)fs.f_bavail * (double)fs.f_frsize;
}

/* The disk must hold all checkpoints that are kept, and the one that is being written. */
static int check_disk(const struct launch *l, const struct cost *c)
{
    const double one = 3.0 * sizeof(real) * (double)c->memory.shape->params.total * 1.01 + 65536;
    char *dir = mem_format("%s/ckpt", l->conf->run.dir);
    struct ckpt_entry *list = NULL;
    char a[HUMAN_TEXT], b[HUMAN_TEXT];
    int count = 0, there = 0;

    if (ckpt_list(&list, &count, dir) == OK)
        for (int i = 0; i < count; i++) there += list[i].committed;
    mem_free(list);
    mem_free(dir);
    const int keep = l->conf->checkpoint.keep + 1;
    const double need = one * (there < keep ? keep - there : 1);
    const double have = free_bytes(l->conf->run.dir);
    if (have < 0 || have >= need) return OK;
    return fail(ERR_IO, "%s: %s of disk space are free, but the next %d checkpoints may need %s",
                l->conf->run.dir, human_bytes(a, (int64_t)have), there < keep ? keep - there : 1,
                human_bytes(b, (int64_t)need));
}

static void choose_threads(struct launch *l)
{
    const int here = most_slots(l);
    const struct machine *m = &l->machine;

    l->threads = threads_of(l);
    l->oversubscribed = here > m->cores;
    /* mpirun would bind to cores that taskset has taken away. */
    const int by_srun = l->job[0] && l->conf->launch.slurm.start == START_SRUN;
    l->bound = l->conf->launch.bind && (int64_t)here * l->threads <= m->cores &&
               (by_srun || !m->narrowed);
    char *this_one = l->remote ? mem_string("")
                   : mem_format("; this one has %d core%s in %d NUMA node%s; %s%s; started by %s (%s)",
                                m->cores, &"s"[m->cores == 1], m->numa, &"s"[m->numa == 1],
                                l->bound ? "processes are to be bound to cores" : "not bound",
                                l->oversubscribed ? "; more processes than cores" : "", l->mpirun,
                                l->by->name);
    log_phase("grid %dx%dx%d: %d process%s with %d thread%s each on %d machine%s%s", l->grid.D,
              l->grid.P, l->grid.S, l->ranks, &"es"[2 * (l->ranks == 1)], l->threads,
              &"s"[l->threads == 1], (l->ranks + here - 1) / here,
              &"s"[(l->ranks + here - 1) / here == 1], this_one);
    mem_free(this_one);
}

/* Other machines are assumed to be like this one: in a job with the same limit, else without that of
 * our session. */
static int64_t memory_of_machine(const struct launch *l)
{
    return l->hosts && !l->job[0] ? l->machine.installed : l->machine.memory;
}

int launch_plan(struct launch *l)
{
    struct cost cost = { 0 };
    char source[CONF_PATH];
    struct rates r;
    int rc;

    if (!l->remote) TRY(launcher_find(l));
    TRY(rates_of_run(&r, source, l->o->rates, l->conf));
    if (source[0]) log_phase("rates of the machines: %s", source);
    r.node.memory_gib = (double)memory_of_machine(l) / 0x1p30;
    TRY(forecast_cost(&cost, l->conf, &r));
    if (!strcmp(grid_text(l), "auto")) TRY(fastest(l, &cost, &r));
    else TRY(given_grid(l));
    TRY(fits(l, &cost, &r));
    TRY(check_disk(l, &cost));
    choose_threads(l);
out:
    cost_done(&cost);
    return rc;
}
