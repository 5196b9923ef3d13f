/* cmd_probe.c -- `ttt probe`: a model's numbers on given tokens, as a file. */
#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/infer/load.h"
#include "src/infer/probe.h"
#include "src/store/safetensors.h"

static const char about[] =
    "Reads the tensor \"tokens\" (I32, sequences x length) of a safetensors file and writes\n"
    "logits, nll and loss into another, and on request hidden states, inner states, inner\n"
    "losses and gradients, to be compared with another implementation.  MODEL is a\n"
    "Hugging Face folder, a checkpoint or a run folder.  tests/golden/README.md lists the\n"
    "names.  Numbers are " REAL_DTYPE " in this build.";

/* tokens (B,L) of a file, a counted block. */
static int read_tokens(int32_t **tok, int *B, int *L, const char *path)
{
    struct safetensors *s = NULL;
    int rc = OK;

    *tok = NULL;
    TRY(safetensors_open(&s, path));
    const int i = safetensors_find(s, "tokens");
    if (i < 0) TRY(fail(ERR_DATA, "%s has no tensor \"tokens\"", path));
    const struct tensor *t = safetensors_tensor(s, i);
    if (t->ndim != 2 || t->shape[0] < 1 || t->shape[1] < 2 || tensor_n(t) > INT_MAX)
        TRY(fail(ERR_DATA, "%s: \"tokens\" must have two dimensions, sequences and at least two "
                 "tokens of each", path));
    *B = (int)t->shape[0];
    *L = (int)t->shape[1];
    *tok = mem_new(tensor_n(t), sizeof **tok, "tokens");
    TRY(safetensors_read_i32(s, i, *tok));
out:
    safetensors_close(s);
    return rc;
}

static int probe(const char *model, const char *tokens, const char *out_path,
                 const struct probe_opts *o)
{
    struct load_info info = { .step = -1 };
    struct model *m = NULL;
    struct probe *p = NULL;
    int32_t *tok = NULL;
    int B, L, count, rc = OK;

    TRY(read_tokens(&tok, &B, &L, tokens));
    TRY(load_model(&m, &info, model));
    TRY(probe_run(&p, m, tok, B, L, o));
    const struct tensor *t = probe_tensors(p, &count);
    TRY(safetensors_save(out_path, t, count));

    double loss = 0;
    for (int i = 0; i < count; i++)
        if (!strcmp(t[i].name, "loss"))
            loss = (double)*(const real *)t[i].data;
    printf("%s: %d sequences of %d tokens, loss %.10g, %d tensors in %s\n", info.source, B, L,
           loss, count, out_path);
out:
    mem_free(tok);
    probe_free(p);
    load_done(&info);
    model_free(m);
    return rc;
}

int cmd_probe(int argc, char **argv)
{
    struct probe_opts o = { .slice = 0 };
    const char *tokens = NULL, *out = NULL;
    int64_t slice = 0, threads = 0;
    const struct arg args[] = {
        { "tokens", ARG_TEXT, &tokens, "FILE", "safetensors file with the tensor \"tokens\"" },
        { "out", ARG_TEXT, &out, "FILE", "safetensors file to write" },
        { "grads", ARG_FLAG, &o.grads, NULL, "gradient of the loss by every parameter" },
        { "states", ARG_FLAG, &o.states, NULL, "inner states after the last mini-batch" },
        { "hidden", ARG_FLAG, &o.hidden, NULL, "residual stream before and after every block" },
        { "inner", ARG_FLAG, &o.inner, NULL, "inner losses per layer and mini-batch" },
        { "slice", ARG_INT, &slice, "N", "tokens read at once (default: all)" },
        { "threads", ARG_INT, &threads, "N", "threads (default: OMP_NUM_THREADS, else cores)" },
    };
    struct arg_rest rest;
    int rc;

    rc = args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                    "ttt probe MODEL --tokens FILE --out FILE", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 1 || !tokens || !out)
        return fail(ERR_USAGE, "ttt probe takes MODEL, --tokens FILE and --out FILE");
    if (slice < 0 || slice > INT_MAX || threads < 0 || threads > 4096)
        return fail(ERR_USAGE, "--slice or --threads is out of range");
    o.slice = (int)slice;
    if (threads) omp_set_num_threads((int)threads);
    return probe(rest.v[0], tokens, out, &o);
}
