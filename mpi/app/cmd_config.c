/* SPDX-License-Identifier: Apache-2.0 */
/* ttt config: what a configuration means, before anything runs. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/conf/conf_model.h"
#include "src/forecast/memory.h"
#include "src/infer/start_model.h"

#define USAGE "ttt config show|check RUN.yaml, or ttt config reference"

static const char about[] =
    "show       print every key with its value, then the predicted memory and FLOPs as comments\n"
    "check      report every mistake with line and column; exit code 78 if there is one\n"
    "reference  print config/README.md: every key with its range, default and meaning\n"
    "\n"
    "example\n"
    "  ttt config show my.yaml --set train.context=8192";

/* What is shown below the keys. */
struct shown { struct memory memory; struct grid_shape grid; int rank; int64_t n_params; double flops; };

/* Memory and FLOPs; also proves that model and pass accept the shapes.  A grid that is chosen when
 * the run starts is shown as one process. */
static int predict(struct shown *w, const struct conf *c)
{
    struct memory_plan plan;
    struct run_shape run;
    int rc;

    if (c->run.threads > 0) omp_set_num_threads(c->run.threads);
    run_shape_of(&run, c);
    TRY(memory_plan_init(&plan, &run));
    w->grid = (struct grid_shape){ 1, 1, 1 };
    if (strcmp(c->run.grid, "auto") != 0) TRY(grid_parse(&w->grid, c->run.grid));
    TRY(memory_plan_grid(&plan, &w->grid));
    w->rank = memory_most(&w->memory, &plan);
    w->n_params = plan.shape->params.n;
    w->flops = model_flops(plan.shape, c->train.context);
out:
    memory_plan_done(&plan);
    return rc;
}

static void show(const struct conf *c, const struct shown *w)
{
    const struct grid_shape *g = &w->grid;
    char *text = conf_text(c), *table = memory_text(&w->memory, w->n_params), least[HUMAN_TEXT];

    printf("%s\n# predicted memory of training, rank %d of grid %dx%dx%d\n", text, w->rank, g->D,
           g->P, g->S);
    for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n")) printf("# %s\n", line);
    if (w->memory.own_copy)
        printf("# without a copy of the state for saves, where it does not fit: %s\n",
               human_bytes(least, w->memory.total - w->memory.own_copy));
    printf("#\n# %.4g GFLOP a token (forward and backward), %.4g PFLOP in %lld steps\n",
           w->flops * 1e-9,
           w->flops * (double)c->train.batch_tokens * (double)c->train.steps * 1e-15,
           (long long)c->train.steps);
    mem_free(text);
    mem_free(table);
}

static int verb_of(const char *word)
{
    static const char *const verbs[] = { "show", "check", "reference" };
    struct nearest n = { .to = word };

    for (int i = 0; i < 3; i++) {
        if (!strcmp(word, verbs[i])) return i;
        nearest_try(&n, verbs[i]);
    }
    return fail(ERR_USAGE, "ttt config: expected show, check or reference, found '%s'%s%s%s", word,
                n.best ? " (did you mean " : "", n.best ? n.best : "", n.best ? "?)" : "");
}

int cmd_config(int argc, char **argv)
{
    struct arg_list sets = { .n = 0 };
    const struct arg args[] = {
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key, for example optim.lr=1e-3" },
    };
    struct arg_rest rest;
    struct conf c;
    struct shown shown;
    int rc = OK, verb;

    TRY(args_parse(&rest, argc, argv, args, 1, USAGE, about));
    if (rest.n < 0) return OK;
    if (rest.n == 0) TRY(fail(ERR_USAGE, "usage: %s", USAGE));
    verb = verb_of(rest.v[0]);
    if (verb < 0) return verb;
    TRY(args_only(&rest, rest.v[0], verb == 2 ? "" : "set"));
    if (rest.n != (verb == 2 ? 1 : 2)) TRY(fail(ERR_USAGE, "usage: %s", USAGE));
    if (verb == 2) {
        conf_reference(stdout);
        return OK;
    }
    TRY(conf_read(&c, rest.v[1], sets.v, sets.n, &start_models));
    conf_report_model(&c);
    TRY(predict(&shown, &c));
    if (verb == 0) show(&c, &shown);
    else printf("%s: no mistakes\n", text_visible(rest.v[1]));
out:
    return rc;
}
