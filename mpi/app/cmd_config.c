/* ttt config: what a configuration means, before anything runs. */
#include <stdio.h>
#include <string.h>

#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/conf/conf_model.h"
#include "src/infer/eval.h"
#include "src/model/budget.h"

#define USAGE "ttt config show|check RUN.yaml, or ttt config reference"

static const char about[] =
    "show       print every key with its value, then the predicted memory and FLOPs as comments\n"
    "check      report every mistake with line and column; exit code 78 if there is one\n"
    "reference  print config/README.md: every key with its range, default and meaning\n"
    "\n"
    "example\n"
    "  ttt config show my.yaml --set train.context=8192";

/* Bytes, parameters and FLOPs; also proves that model and pass accept the shapes. */
static int plan(struct budget *b, double *flops, const struct conf *c)
{
    struct model *m = NULL;
    struct dims d;
    struct pass_opts o;
    int rc = OK;

    conf_dims(c, &d);
    conf_pass(c, &o, -1);
    TRY(budget_plan(b, &d, &o, (enum reduction)c->train.reduction));
    const struct factor_opts factor = optim_factor(&c->optim);
    if (c->optim.kind == OPTIM_SOAP)
        budget_soap(b, &d, &factor, &(struct grid_shape){ 1, 1, 1 }, 0, 1);
    if (c->checkpoint.background) budget_snapshot(b, b->state);
    TRY(model_shape(&m, &d));
    *flops = model_flops(m, c->train.context);
    const struct eval_opts eval = { .context = c->train.context };
    if (c->data.val[0]) budget_evaluation(b, eval_memory(&d, o.bf16, &eval));
out:
    model_free(m);
    return rc;
}

static void show(const struct conf *c, const struct budget *b, double flops)
{
    char *text = conf_text(c), *table = budget_text(b), least[HUMAN_TEXT];

    printf("%s\n# predicted memory of training\n", text);
    for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n")) printf("# %s\n", line);
    if (b->snapshot)
        printf("# without the snapshot, where it does not fit: %s\n",
               human_bytes(least, b->total - b->snapshot));
    printf("#\n# %.4g GFLOP a token (forward and backward), %.4g PFLOP in %lld steps\n",
           flops * 1e-9, flops * (double)c->train.batch_tokens * (double)c->train.steps * 1e-15,
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
    struct budget b;
    double flops = 0;
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
    TRY(conf_read(&c, rest.v[1], sets.v, sets.n));
    conf_say_model(&c);
    TRY(plan(&b, &flops, &c));
    if (verb == 0) show(&c, &b, flops);
    else printf("%s: no mistakes\n", text_visible(rest.v[1]));
out:
    return rc;
}
