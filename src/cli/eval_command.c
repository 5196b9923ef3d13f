/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt eval`: how well a model predicts a data set. */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/hash.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/team.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/infer/eval.h"
#include "src/infer/load.h"
#include "src/store/json_name.h"

#define DEFAULT_CONTEXT 2048  /* of models that do not say what they were trained on */

static const char about[] =
    "Print loss, perplexity and bits per byte of a model on a data set.\n"
    "The data is read in windows of --context tokens; the state starts anew in each window, and\n"
    "every token is scored. MODEL is a run folder, a checkpoint or a Hugging Face folder; DATA is\n"
    "a folder that ttt prep made. The context may be far longer than in training: one process\n"
    "reads it slice by slice in constant memory, and ranks of mpirun share its tokens, with the\n"
    "same result. Positions count the tokens of the window that were read before. <s> is read\n"
    "but not scored, as in training. With --max-tokens, bytes are those that the tokens decode\n"
    "to, else those of the source text.\n"
    "\n"
    "example\n"
    "  ttt eval logs/my data/mine/val --by-position --context 32768\n"
    "\n"
    "exit codes: 66 no model or data, 78 model and data do not fit";

static void print_table(const struct eval_result *r, const struct eval_opts *o,
                        const struct eval_command *opt, int L)
{
    char line[EVAL_LINE];

    eval_line(line, r);
    puts(line);
    if (opt->by_position) {
        printf("\n  %-21s %10s %14s %12s\n", "position", "tokens", "nats/token", "perplexity");
        for (int k = 0; k < r->n_buckets; k++) {
            const struct eval_bucket *b = &r->bucket[k];
            char range[48];
            if (!b->tokens) continue;
            snprintf(range, sizeof range, "%" PRId64 " - %" PRId64, b->first, b->last);
            printf("  %-21s %10" PRId64 " %14.4f %12.4g\n", range, b->tokens, b->nats,
                   exp(b->nats));
        }
    }
    if (opt->inner) {
        printf("\n  %-7s %14s %14s %14s\n", "layer", "inner, initial", "before step",
               "after step");
        for (int l = 0; l < L; l++) {
            if (isnan(o->inner[l].w0)) continue;  /* a layer without an inner loop */
            printf("  %-7d %14.5g %14.5g %14.5g\n", l, o->inner[l].w0, o->inner[l].before,
                   o->inner[l].after);
        }
    }
}

static void print_json(const struct eval_result *r, const struct eval_opts *o,
                       const struct eval_command *opt, const struct load_info *info,
                       const char *data, int L)
{
    json_t *j = eval_json(r);
    char hex[HASH_HEX];

    json_object_set_new(j, "model", json_name(info->source));
    json_object_set_new(j, "data", json_name(data));
    json_object_set_new(j, "context", json_integer(o->context));
    json_object_set_new(j, "peak_bytes", json_integer(mem_peak_bytes()));
    if (info->step >= 0) {
        hash_hex(hex, info->root);
        json_object_set_new(j, "step", json_integer(info->step));
        json_object_set_new(j, "root", json_string(hex));
    }
    if (opt->inner) {
        json_t *layers = json_array();
        for (int l = 0; l < L; l++)
            json_array_append_new(layers, isnan(o->inner[l].w0) ? json_null() :
                                  json_pack("{s:f, s:f, s:f}", "w0", o->inner[l].w0, "before",
                                            o->inner[l].before, "after", o->inner[l].after));
        json_object_set_new(j, "inner_loss", layers);
    }
    char *text = json_dumps(j, JSON_INDENT(2));
    puts(text);
    free(text);
    json_decref(j);
}

/* Everything that is opened, and that it fits. */
struct work {
    struct model    *m;
    struct dataset  *d;
    struct load_info info;
    struct eval_opts o;
};

static int prepare(struct work *w, const struct eval_command *c)
{
    int rc = OK;

    TRY(dataset_open(&w->d, c->data));
    TRY(load_model(&w->m, &w->info, c->model));
    TRY(load_precision(w->m, c->precision, 0));
    if (dataset_vocab(w->d) > w->m->dims.V)
        TRY(fail(ERR_CONFIG, "%s has token ids below %d, the model knows %d", c->data,
                 dataset_vocab(w->d), w->m->dims.V));
    TRY(load_same_tokenizer(&w->info, w->m, w->d, c->data));
    if (!c->score_bos) w->o.mask_token = dataset_index(w->d)->bos;
    if (!w->o.context) w->o.context = w->info.context ? w->info.context : DEFAULT_CONTEXT;
    if (c->inner && !model_has_inner(w->m))
        TRY(fail(ERR_USAGE, "--inner: layer %s has no inner loop", w->m->dims.layer));
    if (c->inner && w->o.context < w->m->dims.K)
        TRY(fail(ERR_USAGE, "--inner needs a context of at least one mini-batch, %d tokens",
                 w->m->dims.K));
    if (c->inner) w->o.inner = mem_new(w->m->dims.L, sizeof *w->o.inner, "inner losses");
out:
    return rc;
}

int eval_command_run(const struct eval_command *c, const struct team *team)
{
    struct work w = { .info = { .step = -1 }, .o = { .context = c->context, .mask_token = -1,
                                                     .max_tokens = c->max_tokens } };
    struct eval_result r;
    int rc;

    if (c->threads) omp_set_num_threads((int)c->threads);
    rc = prepare(&w, c);
    if (team) rc = team->agree(team->ctx, rc);
    if (rc == OK) rc = team ? team->eval(team->ctx, &r, w.m, w.d, &w.o)
                            : eval_run(&r, w.m, w.d, &w.o);
    if (rc == OK && (!team || team->speaks)) {
        if (c->json) print_json(&r, &w.o, c, &w.info, c->data, w.m->dims.L);
        else print_table(&r, &w.o, c, w.m->dims.L);
    }
    mem_free(w.o.inner);
    load_done(&w.info);
    model_free(w.m);
    dataset_close(w.d);
    return rc;
}

int eval_command_parse(struct eval_command *c, int argc, char **argv)
{
    *c = (struct eval_command){ .model = NULL };
    const struct arg args[] = {
        { "context", ARG_INT, &c->context, "N",
          "tokens of a window (default: the model's training context, else 2048)" },
        { "max-tokens", ARG_INT, &c->max_tokens, "N",
          "read only the first N tokens (default: all)" },
        { "by-position", ARG_FLAG, &c->by_position, NULL,
          "print perplexity by position in the window" },
        { "inner", ARG_FLAG, &c->inner, NULL,
          "print the inner loss per layer: at the initial state, before and after a step" },
        { "score-bos", ARG_FLAG, &c->score_bos, NULL, "also score <s>" },
        { "json", ARG_FLAG, &c->json, NULL, "print one JSON object" },
        { "grid", ARG_TEXT, &c->grid, "DxPxS",
          "data x pipeline x sequence parallelism over the ranks of mpirun (default: as fits)" },
        { "precision", ARG_TEXT, &c->precision, "P",
          "mixed precision, operands of matrix products: fp32 (default) or bf16" },
        { "threads", ARG_INT, &c->threads, "N",
          "number of threads (default: OMP_NUM_THREADS, else all cores)" },
    };
    struct arg_rest rest;
    int rc;

    rc = args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                    "ttt eval MODEL DATA", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 2) return fail(ERR_USAGE, "ttt eval takes MODEL and DATA; found %d", rest.n);
    if (c->context < 0 || c->max_tokens < 0 || c->threads < 0 || c->threads > OPENMP_THREADS)
        return fail(ERR_USAGE, "--context, --max-tokens or --threads is out of range");
    c->model = rest.v[0];
    c->data = rest.v[1];
    return OK;
}
