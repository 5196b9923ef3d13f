/* cmd_eval.c -- `ttt eval`: how well a model predicts a data set. */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/hash.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/data/token.h"
#include "src/infer/eval.h"
#include "src/infer/load.h"

#define DEFAULT_CONTEXT 2048  /* of models that do not say what they were trained on */

struct options {
    int64_t context, max_tokens, threads;
    int     by_position, inner, json, score_bos;
};

static const char about[] =
    "Reads the data set in windows of CONTEXT tokens, the state starting anew in each, and\n"
    "scores every token.  MODEL is a Hugging Face folder, a checkpoint or a run folder; DATA\n"
    "is a folder that ttt prep made.  The context may be far longer than the one trained\n"
    "on: it costs no memory.  Positions count the tokens of the window that were read before.\n"
    "<s> is read but not scored, as in training.  With --max-tokens, bytes are those\n"
    "that the tokens decode to, else those of the source text.";

/* ERR_CONFIG if both say which tokenizer they mean and it is not the same. */
static int check_tokenizer(const struct load_info *info, const struct model *m, struct dataset *d)
{
    struct tokenizer *t = NULL;
    struct hash want = info->tokenizer_hash, found;
    const char *path;

    dataset_tokenizer(d, &path, &found);
    if (!want.lo && !want.hi) {
        if (!info->tokenizer_kind) return OK;
        const int rc = load_tokenizer(&t, info, m, NULL);
        if (rc != OK) return rc;
        want = tokenizer_hash(t);
        tokenizer_close(t);
    }
    if (hash_equal(want, found)) return OK;
    return fail(ERR_CONFIG, "the data set was made with another tokenizer than the model's (%s)",
                info->source);
}

static void print_table(const struct eval_result *r, const struct eval_opts *o,
                        const struct options *opt, int L)
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
        for (int l = 0; l < L; l++)
            printf("  %-7d %14.5g %14.5g %14.5g\n", l, o->inner[l].w0, o->inner[l].before,
                   o->inner[l].after);
    }
}

static void print_json(const struct eval_result *r, const struct eval_opts *o,
                       const struct options *opt, const struct load_info *info,
                       const char *data, int L)
{
    json_t *j = eval_json(r);
    char hex[HASH_HEX];

    json_object_set_new(j, "model", json_string(info->source));
    json_object_set_new(j, "data", json_string(data));
    json_object_set_new(j, "context", json_integer(o->context));
    if (info->step >= 0) {
        hash_hex(hex, info->root);
        json_object_set_new(j, "step", json_integer(info->step));
        json_object_set_new(j, "root", json_string(hex));
    }
    if (opt->inner) {
        json_t *layers = json_array();
        for (int l = 0; l < L; l++)
            json_array_append_new(layers, json_pack("{s:f, s:f, s:f}", "w0", o->inner[l].w0,
                                                    "before", o->inner[l].before, "after",
                                                    o->inner[l].after));
        json_object_set_new(j, "inner_loss", layers);
    }
    char *text = json_dumps(j, JSON_INDENT(2));
    puts(text);
    free(text);
    json_decref(j);
}

static int evaluate(const char *model, const char *data, const struct options *opt)
{
    struct eval_opts o = { .context = opt->context, .max_tokens = opt->max_tokens,
                           .mask_token = -1 };
    struct load_info info = { .step = -1 };
    struct model *m = NULL;
    struct dataset *d = NULL;
    struct eval_result r;
    int rc = OK;

    TRY(dataset_open(&d, data));
    TRY(load_model(&m, &info, model));
    if (dataset_vocab(d) > m->dims.V)
        TRY(fail(ERR_CONFIG, "%s has token ids below %d, the model knows %d", data,
                 dataset_vocab(d), m->dims.V));
    TRY(check_tokenizer(&info, m, d));
    if (!opt->score_bos) o.mask_token = dataset_index(d)->bos;
    if (!o.context) o.context = info.context ? info.context : DEFAULT_CONTEXT;
    if (opt->inner && o.context < m->dims.K)
        TRY(fail(ERR_USAGE, "--inner needs a context of at least one mini-batch, %d tokens",
                 m->dims.K));
    if (opt->inner) o.inner = mem_new(m->dims.L, sizeof *o.inner, "inner losses");

    TRY(eval_run(&r, m, d, &o));
    if (opt->json) print_json(&r, &o, opt, &info, data, m->dims.L);
    else print_table(&r, &o, opt, m->dims.L);
out:
    mem_free(o.inner);
    load_done(&info);
    model_free(m);
    dataset_close(d);
    return rc;
}

int cmd_eval(int argc, char **argv)
{
    struct options o = { .context = 0 };
    const struct arg args[] = {
        { "context", ARG_INT, &o.context, "N",
          "tokens of a window (default: as the model was trained, else 2048)" },
        { "max-tokens", ARG_INT, &o.max_tokens, "N", "only the first N tokens (default: all)" },
        { "by-position", ARG_FLAG, &o.by_position, NULL, "perplexity by position in the window" },
        { "inner", ARG_FLAG, &o.inner, NULL,
          "inner loss per layer: at the initial state, before and after a step" },
        { "score-bos", ARG_FLAG, &o.score_bos, NULL, "score <s> too" },
        { "json", ARG_FLAG, &o.json, NULL, "print one JSON object" },
        { "threads", ARG_INT, &o.threads, "N", "threads (default: OMP_NUM_THREADS, else cores)" },
    };
    struct arg_rest rest;
    int rc;

    rc = args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                    "ttt eval MODEL DATA", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 2) return fail(ERR_USAGE, "ttt eval takes MODEL and DATA; found %d", rest.n);
    if (o.context < 0 || o.max_tokens < 0 || o.threads < 0 || o.threads > 4096)
        return fail(ERR_USAGE, "--context, --max-tokens or --threads is out of range");
    if (o.threads) omp_set_num_threads((int)o.threads);
    return evaluate(rest.v[0], rest.v[1], &o);
}
