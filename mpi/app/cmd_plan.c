/* ttt plan: what grids would do, before anything is queued. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/forecast/forecast.h"
#include "src/cli/plan_print.h"
#include "src/conf/conf_model.h"
#include "src/forecast/rates.h"
#include "src/infer/start_model.h"

#define USAGE "ttt plan RUN.yaml [--grid DxPxS | --ranks N], or ttt plan --table RUN.yaml ..."

static const char about[] =
    "Predict a training step on a process grid DxPxS (D replicas: data parallelism, P stages:\n"
    "pipeline parallelism, S parts of a sequence: sequence parallelism): its time, the share of\n"
    "idle time, bytes sent and memory. The lists of operations that the trainer executes are\n"
    "simulated with the rates of a machine, which ttt bench rates measures; without --rates\n"
    "config/rates/epyc-2core.yaml is assumed.\n"
    "\n"
    "  --grid DxPxS   predict one grid (run.grid); --show and --trace tell its operations\n"
    "  --ranks N      list the fastest grids of N ranks that fit into memory\n"
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
    struct rates    r;
};

/* grid [out]  NULL, or the run's own, to be freed */
static int load(struct cost *cost, const struct plan *p, const char *file, char **grid)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    int rc;

    *cost = (struct cost){ 0 };
    TRY(conf_read(c, file, p->sets.v, p->sets.n, &start_models));
    conf_report_model(c);
    if (grid) *grid = mem_string(c->run.grid);
    TRY(forecast_cost(cost, c, &p->r));
out:
    mem_free(c);
    return rc;
}

static int one_grid(const struct plan *p, const char *file)
{
    struct cost c = { 0 };
    struct grid_shape g;
    struct forecast f = { .nodes = 0 };
    char *own = NULL;
    int rc;

    if (p->grid) TRY(grid_parse(&g, p->grid));
    TRY(load(&c, p, file, &own));
    if (!p->grid && !strcmp(own, "auto"))
        TRY(fail(ERR_USAGE, "%s: run.grid is auto, so ttt plan wants --grid or --ranks", file));
    if (!p->grid) TRY(grid_parse(&g, own));
    if (p->show >= grid_ranks(&g))
        TRY(fail(ERR_USAGE, "--show %lld: the grid has ranks 0 to %d", (long long)p->show,
                 grid_ranks(&g) - 1));
    TRY(forecast_init(&f, &c, &g, &p->r, p->show >= 0 || p->trace));
    if (p->trace) TRY(plan_trace(&f, p->trace));
    if (p->json) plan_json(&f, 1, 0);
    else if (p->show >= 0) plan_show(&f, &c, (int)p->show);
    else plan_text(&f, &c, &p->r);
out:
    forecast_done(&f);
    cost_done(&c);
    mem_free(own);
    return rc;
}

static int best_grids(const struct plan *p, const char *file)
{
    struct cost c = { 0 };
    struct forecast *list = NULL;
    int count = 0, fits = 0, rc;

    TRY(load(&c, p, file, NULL));
    TRY(forecast_all(&list, &count, &c, (int)p->ranks, &p->r));
    while (fits < count && list[fits].fits) fits++;
    if (!fits)
        TRY(fail(ERR_CONFIG, "%s: no grid of %lld ranks fits: %dx%dx%d needs %.3g GiB on a node "
                 "of %.3g GiB; train.remat: block needs less", file, (long long)p->ranks,
                 list->grid.D, list->grid.P, list->grid.S, (double)list->node_bytes / 0x1p30,
                 p->r.node.memory_gib));
    if (p->json) plan_json(list, fits < p->best ? fits : (int)p->best, 1);
    else plan_best(list, count, (int)p->best);
out:
    forecasts_free(list, count);
    cost_done(&c);
    return rc;
}

/* A run's cell: the best grid, its speed, and its share of so many times a lone rank's speed. */
static void cell(struct cost *c, const struct plan *p, int ranks, double alone)
{
    struct forecast *list = NULL;
    int count = 0;

    if (forecast_all(&list, &count, c, ranks, &p->r) != OK) printf(" no work |");
    else if (!list->fits) printf(" %.3g GiB a node |", (double)list->node_bytes / 0x1p30);
    else
        printf(" %dx%dx%d: %.*f, %.0f %% |", list->grid.D, list->grid.P, list->grid.S,
               list->tok_per_s < 100, list->tok_per_s, 100 * list->tok_per_s / (ranks * alone));
    forecasts_free(list, count);
}

static int table(const struct plan *p, char **files, int n)
{
    const struct grid_shape one = { 1, 1, 1 };
    const int most = p->ranks ? (int)p->ranks : 1024;
    struct cost *c = mem_new(n, sizeof *c, "runs");
    double *alone = mem_new(n, sizeof *alone, "runs");
    int rc = OK;

    for (int i = 0; i < n; i++) {
        struct forecast f;
        TRY(load(&c[i], p, files[i], NULL));
        TRY(forecast_init(&f, &c[i], &one, &p->r, 0));
        alone[i] = f.tok_per_s;
        forecast_done(&f);
    }
    printf("| ranks | nodes |");
    for (int i = 0; i < n; i++) {
        const char *slash = strrchr(files[i], '/');
        const char *name = text_visible(slash ? slash + 1 : files[i]);
        const char *end = strstr(name, ".yaml");
        printf(" %.*s |", (int)(end ? end - name : (ptrdiff_t)strlen(name)), name);
    }
    printf("\n|---|---|");
    for (int i = 0; i < n; i++) printf("---|");
    for (int ranks = 1; ranks <= most; ranks *= 2) {
        printf("\n| %d | %d |", ranks, (ranks + p->r.node.ranks - 1) / p->r.node.ranks);
        for (int i = 0; i < n; i++) cell(&c[i], p, ranks, alone[i]);
    }
    printf("\n");
out:
    for (int i = 0; i < n; i++) cost_done(&c[i]);
    mem_free(c);
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
    TRY(rates_read(&p.r, p.rates));
    omp_set_num_threads(p.r.rank.threads);  /* a rank's threads have scratch of their own */
    if (p.table) rc = table(&p, rest.v, rest.n);
    else if (p.ranks) rc = best_grids(&p, rest.v[0]);
    else rc = one_grid(&p, rest.v[0]);
out:
    return rc;
}
