/* SPDX-License-Identifier: Apache-2.0 */
/* ttt plan: what grids would do, before anything is queued. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "jobs/words.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/forecast/forecast.h"
#include "src/cli/plan_print.h"
#include "src/conf/conf_model.h"
#include "src/forecast/rates_of_run.h"
#include "src/forecast/slices.h"
#include "src/infer/start_model.h"

#define USAGE "ttt plan RUN.yaml [--grid DxPxS | --ranks N], or ttt plan --table RUN.yaml ..."

static const char about[] =
    "Predict a training step on a process grid DxPxS (D replicas: data parallelism, P stages:\n"
    "pipeline parallelism, S parts of a sequence: sequence parallelism): its time, the share of\n"
    "idle time, bytes sent and memory. The lists of operations that the trainer executes are\n"
    "simulated with the rates of a machine, which ttt bench rates or ttt launch --measure measures:\n"
    "--rates, launch.rates, the run's own, or config/rates/epyc-2core.yaml is assumed.\n"
    "\n"
    "  --grid DxPxS   predict one grid (run.grid); --show and --trace tell its operations\n"
    "  --ranks N      list the fastest grids of N ranks that fit into memory, try other lengths of\n"
    "                 slices (train.slice_tokens), and print the command that starts the best\n"
    "  --table        print a Markdown table of 1, 2, 4, ... ranks up to --ranks (1024)\n"
    "\n"
    "Start times and network are ideal: a measured step takes as long or longer.\n"
    "\n"
    "example\n"
    "  ttt plan config/ttt-linear-125m.yaml --ranks 16";

struct plan {
    const char     *grid, *rates, *trace;
    struct arg_list sets;
    int64_t         ranks, best, show;
    int             table, json;
};

/* A run, and the machine that it is planned for. */
struct job {
    struct conf  *conf;               /* owned                              */
    struct cost   cost;
    struct rates  r;
    char          source[CONF_PATH];  /* of the rates; "": they are assumed */
    char         *machine;            /* owned; for people                  */
};

static int load(struct job *j, const struct plan *p, const char *file)
{
    int rc;

    *j = (struct job){ .conf = mem_new(1, sizeof *j->conf, "configuration") };
    TRY(conf_read(j->conf, file, p->sets.v, p->sets.n, &start_models));
    conf_report_model(j->conf);
    TRY(rates_of_run(&j->r, j->source, p->rates, j->conf));
    omp_set_num_threads(j->r.rank.threads);  /* a rank's threads have scratch of their own */
    j->machine = plan_machine(&j->r, j->source);
    TRY(forecast_cost(&j->cost, j->conf, &j->r));
out:
    return rc;
}

static void unload(struct job *j)
{
    cost_done(&j->cost);
    mem_free(j->conf);
    mem_free(j->machine);
}

static int one_grid(const struct plan *p, const char *file)
{
    struct job j = { .conf = NULL };
    struct grid_shape g;
    struct forecast f = { .nodes = 0 };
    int rc;

    if (p->grid) TRY(grid_parse(&g, p->grid));
    TRY(load(&j, p, file));
    if (!p->grid && !strcmp(j.conf->run.grid, "auto"))
        TRY(fail(ERR_USAGE, "%s: run.grid is auto, so ttt plan wants --grid or --ranks", file));
    if (!p->grid) TRY(grid_parse(&g, j.conf->run.grid));
    if (p->show >= grid_ranks(&g))
        TRY(fail(ERR_USAGE, "--show %lld: the grid has ranks 0 to %d", (long long)p->show,
                 grid_ranks(&g) - 1));
    TRY(forecast_init(&f, &j.cost, &g, &j.r, p->show >= 0 || p->trace));
    if (p->trace) TRY(plan_trace(&f, p->trace));
    if (p->json) plan_json_print(plan_json(&f, j.conf->train.slice_tokens, &j.r, j.source));
    else if (p->show >= 0) plan_show(&f, &j.cost, (int)p->show);
    else plan_text(&f, &j.cost, &j.r, j.machine);
out:
    forecast_done(&f);
    unload(&j);
    return rc;
}

/* The command that starts the run on a grid; slices 0: as the file has them. */
static void print_command(const struct plan *p, const struct job *j, const char *file,
                          const struct forecast *f, int slices)
{
    const struct grid_shape *g = &f->grid;
    const int per_node = j->r.node.ranks < f->sim.ranks ? j->r.node.ranks : f->sim.ranks;
    char grid[64], text[4][64];
    char *words[2 * (sizeof p->sets.v / sizeof *p->sets.v) + 20] = { "ttt", "launch", (char *)file };
    int n = 3;

    snprintf(grid, sizeof grid, "%s%dx%dx%d", f->nodes > 1 ? "run.grid=" : "", g->D, g->P, g->S);
    if (f->nodes > 1) words[n++] = "--slurm";
    for (int i = 0; i < p->sets.n; i++) {
        words[n++] = "--set";
        words[n++] = p->sets.v[i];
    }
    words[n++] = f->nodes > 1 ? "--set" : "--grid";
    words[n++] = grid;
    snprintf(text[0], sizeof text[0], "train.slice_tokens=%d", slices);
    snprintf(text[1], sizeof text[1], "launch.slurm.nodes=%d", f->nodes);
    snprintf(text[2], sizeof text[2], "launch.slurm.tasks_per_node=%d", per_node);
    snprintf(text[3], sizeof text[3], "launch.slurm.cpus_per_task=%d", j->r.rank.threads);
    for (int i = slices ? 0 : 1; i < (f->nodes > 1 ? 4 : 1); i++) {
        words[n++] = "--set";
        words[n++] = text[i];
    }
    if (p->rates) words[n++] = "--rates";
    if (p->rates) words[n++] = (char *)p->rates;
    char *line = shell_line(words);
    printf("start it: %s\n", line);
    mem_free(line);
}

/* What other slices would do.  In a table, whose standard output is all the table, as a message. */
static void print_slices(const struct slices *s, const struct job *j, const char *where, double own)
{
    if (!s->tokens) return;
    char *text = mem_format("train.slice_tokens=%d: %dx%dx%d trains %.1f tokens/s, with the run's %d it "
                            "is %.1f%s", s->tokens, s->best.grid.D, s->best.grid.P, s->best.grid.S,
                            s->best.tok_per_s, j->conf->train.slice_tokens, own,
                            own > 0 ? "" : " because none fits");
    if (where) log_run("%s: %s", where, text);
    else printf("%s (a run that has begun keeps its slices)\n", text);
    mem_free(text);
}

static int no_grid(const struct plan *p, const struct job *j, const char *file,
                   const struct forecast *least)
{
    return fail(ERR_CONFIG, "%s: no grid of %lld ranks fits: %dx%dx%d needs %.3g GiB on a node "
                "of %.3g GiB; train.remat: block needs less (%s)", file, (long long)p->ranks,
                least->grid.D, least->grid.P, least->grid.S, (double)least->node_bytes / 0x1p30,
                j->r.node.memory_gib, j->machine);
}

static int best_grids(const struct plan *p, const char *file)
{
    struct job j = { .conf = NULL };
    struct forecast *list = NULL;
    struct slices s = { 0 };
    int count = 0, fits = 0, rc;

    TRY(load(&j, p, file));
    TRY(forecast_all(&list, &count, &j.cost, (int)p->ranks, &j.r));
    while (fits < count && list[fits].fits) fits++;
    const double own = fits ? list->tok_per_s : 0;
    TRY(slices_try(&s, j.conf, (int)p->ranks, &j.r, own));
    if (!fits && !s.tokens) TRY(no_grid(p, &j, file, list));
    if (p->json) {
        json_t *all = json_array();
        if (s.tokens) json_array_append_new(all, plan_json(&s.best, s.tokens, &j.r, j.source));
        for (int i = 0; i < fits && (int)json_array_size(all) < p->best; i++)
            json_array_append_new(all, plan_json(&list[i], j.conf->train.slice_tokens, &j.r, j.source));
        plan_json_print(all);
        goto out;
    }
    printf("machine: %s\n", j.machine);
    plan_best(list, count, (int)p->best);
    print_slices(&s, &j, NULL, own);
    print_command(p, &j, file, s.tokens ? &s.best : list, s.tokens);
out:
    forecast_done(&s.best);
    forecasts_free(list, count);
    unload(&j);
    return rc;
}

/* A run's cell: the best grid, its speed, and its share of so many times a lone rank's speed.
 * returns its tokens/s, 0: nothing fits */
static double cell(struct job *j, int ranks, double alone)
{
    struct forecast *list = NULL;
    double speed = 0;
    int count = 0;

    omp_set_num_threads(j->r.rank.threads);
    if (forecast_all(&list, &count, &j->cost, ranks, &j->r) != OK) printf(" no work |");
    else if (!list->fits) printf(" %.3g GiB a node |", (double)list->node_bytes / 0x1p30);
    else {
        speed = list->tok_per_s;
        printf(" %dx%dx%d: %.*f, %.0f %% |", list->grid.D, list->grid.P, list->grid.S,
               speed < 100, speed, 100 * speed / (ranks * alone));
    }
    forecasts_free(list, count);
    return speed;
}

static int table(const struct plan *p, char **files, int n)
{
    const struct grid_shape one = { 1, 1, 1 };
    const int most = p->ranks ? (int)p->ranks : 1024;
    struct job *j = mem_new(n, sizeof *j, "runs");
    double *alone = mem_new(2 * (int64_t)n, sizeof *alone, "runs"), *last = alone + n;
    int rc = OK, ranks;

    for (int i = 0; i < n; i++) {
        struct forecast f;
        TRY(load(&j[i], p, files[i]));
        TRY(forecast_init(&f, &j[i].cost, &one, &j[i].r, 0));
        alone[i] = f.tok_per_s;
        forecast_done(&f);
    }
    log_run("machine: %s", j->machine);
    printf("| ranks | nodes |");
    for (int i = 0; i < n; i++) {
        const char *slash = strrchr(files[i], '/');
        const char *name = text_visible(slash ? slash + 1 : files[i]);
        const char *end = strstr(name, ".yaml");
        printf(" %.*s |", (int)(end ? end - name : (ptrdiff_t)strlen(name)), name);
    }
    printf("\n|---|---|");
    for (int i = 0; i < n; i++) printf("---|");
    for (ranks = 1; ranks <= most; ranks *= 2) {
        printf("\n| %d | %d |", ranks, (ranks + j->r.node.ranks - 1) / j->r.node.ranks);
        for (int i = 0; i < n; i++) last[i] = cell(&j[i], ranks, alone[i]);
    }
    printf("\n");
    for (int i = 0; i < n; i++) {
        struct slices s = { 0 };
        char *where = mem_format("%s on %d ranks", files[i], ranks / 2);
        rc = slices_try(&s, j[i].conf, ranks / 2, &j[i].r, last[i]);
        print_slices(&s, &j[i], where, last[i]);
        forecast_done(&s.best);
        mem_free(where);
        TRY(rc);
    }
out:
    for (int i = 0; i < n; i++) unload(&j[i]);
    mem_free(j);
    mem_free(alone);
    return rc;
}

static int check_args(const struct plan *p, const struct arg_rest *rest)
{
    const int ways = (p->grid != NULL) + (p->ranks != 0 && !p->table) + p->table;

    if (ways > 1 || rest->n < 1 || (rest->n > 1 && !p->table))
        return fail(ERR_USAGE, "usage: %s", USAGE);
    if (p->ranks < 0 || p->ranks > GRID_RANKS || p->best < 1 ||
        p->best > GRID_RANKS || (args_given(rest, "show") && p->show < 0))
        return fail(ERR_USAGE, "ttt plan: --ranks, --best or --show is out of range");
    if (args_given(rest, "best") && (!p->ranks || p->table))
        return fail(ERR_USAGE, "ttt plan: --best is about --ranks");
    if ((p->ranks || p->table) && (p->show >= 0 || p->trace))
        return fail(ERR_USAGE, "ttt plan: --show and --trace tell of one grid");
    if (p->json && (p->show >= 0 || p->table))
        return fail(ERR_USAGE, "ttt plan: --json goes with neither --show nor --table");
    return OK;
}

int cmd_plan(int argc, char **argv)
{
    struct plan p = { .best = 10, .show = -1 };
    struct arg_rest rest;
    int rc = OK;
    const struct arg args[] = {
        { "grid", ARG_TEXT, &p.grid, "DxPxS", "predict this grid" },
        { "ranks", ARG_INT, &p.ranks, "N", "list the best grids of N ranks" },
        { "best", ARG_INT, &p.best, "K", "number of grids to list (10)" },
        { "table", ARG_FLAG, &p.table, NULL, "print a table for several runs" },
        { "rates", ARG_TEXT, &p.rates, "FILE", "rates of the machine, from ttt bench rates" },
        { "set", ARG_LIST, &p.sets, "KEY=VALUE", "override a key of RUN.yaml" },
        { "show", ARG_INT, &p.show, "RANK", "print the operations of a rank, in order" },
        { "trace", ARG_TARGET, &p.trace, "FILE",
          "write the timeline of the step for Chrome's trace viewer" },
        { "json", ARG_FLAG, &p.json, NULL, "print JSON" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    TRY(check_args(&p, &rest));
    if (p.table) rc = table(&p, rest.v, rest.n);
    else if (p.ranks) rc = best_grids(&p, rest.v[0]);
    else rc = one_grid(&p, rest.v[0]);
out:
    return rc;
}
