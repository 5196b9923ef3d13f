/* SPDX-License-Identifier: Apache-2.0 */
/* `ttt probe`: a model's numbers on given tokens, as a file. */
#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/team.h"
#include "src/infer/load.h"
#include "src/infer/probe.h"
#include "src/store/safetensors.h"

static const char about[] =
    "Write the numbers that a model computes, to compare them with another implementation.\n"
    "Reads the tensor \"tokens\" (I32, sequences x length) of a safetensors file and writes\n"
    "logits, nll and loss into another, and on request hidden states, inner states, inner\n"
    "losses and gradients. MODEL is a run folder, a checkpoint or a Hugging Face folder.\n"
    "tests/golden/README.md lists the names. Numbers are " REAL_DTYPE " in this build.\n"
    "\n"
    "example\n"
    "  ttt probe folder/ --tokens in.safetensors --out out.safetensors --grads";

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

int probe_command_run(const struct probe_command *c, const struct team *team)
{
    struct load_info info = { .step = -1 };
    struct model *m = NULL;
    struct probe *p = NULL;
    const int speaks = !team || team->speaks;
    int32_t *tok = NULL;
    int B = 0, L = 0, count, rc;

    if (c->threads) omp_set_num_threads((int)c->threads);
    rc = read_tokens(&tok, &B, &L, c->tokens);
    if (rc == OK) rc = load_model(&m, &info, c->model);
    if (rc == OK) rc = load_precision(m, c->precision, c->opts.grads);
    if (team) rc = team->agree(team->ctx, rc);
    if (rc == OK) rc = team ? team->probe(team->ctx, &p, m, tok, B, L, &c->opts)
                            : probe_run(&p, m, tok, B, L, &c->opts);
    if (rc == OK && speaks) {
        const struct tensor *t = probe_tensors(p, &count);
        rc = safetensors_save(c->out, t, count);
        double loss = 0;
        for (int i = 0; i < count; i++)
            if (!strcmp(t[i].name, "loss")) loss = (double)*(const real *)t[i].data;
        if (rc == OK)
            printf("%s: %d sequences of %d tokens, loss %.10g, %d tensors in %s\n",
                   text_visible(info.source), B, L, loss, count, text_visible(c->out));
    }
    if (team) rc = team->agree(team->ctx, rc);
    mem_free(tok);
    probe_free(p);
    load_done(&info);
    model_free(m);
    return rc;
}

int probe_command_parse(struct probe_command *c, int argc, char **argv)
{
    int64_t slice = 0;
    *c = (struct probe_command){ .model = NULL };
    const struct arg args[] = {
        { "tokens", ARG_TEXT, &c->tokens, "FILE", "safetensors file with the tensor \"tokens\"" },
        { "out", ARG_TARGET, &c->out, "FILE", "safetensors file to write" },
        { "grads", ARG_FLAG, &c->opts.grads, NULL,
          "write gradients of the loss by every parameter" },
        { "states", ARG_FLAG, &c->opts.states, NULL,
          "write inner states after the last mini-batch" },
        { "hidden", ARG_FLAG, &c->opts.hidden, NULL,
          "write the residual stream before and after every block" },
        { "inner", ARG_FLAG, &c->opts.inner, NULL, "write inner losses per layer and mini-batch" },
        { "slice", ARG_INT, &slice, "N",
          "read slices of N tokens (default: all, or as the grid allows)" },
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
                    "ttt probe MODEL --tokens FILE --out FILE", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 1 || !c->tokens || !c->out)
        return fail(ERR_USAGE, "ttt probe takes MODEL, --tokens FILE and --out FILE");
    if (slice < 0 || slice > INT_MAX || c->threads < 0 || c->threads > OPENMP_THREADS)
        return fail(ERR_USAGE, "--slice or --threads is out of range");
    c->opts.slice = (int)slice;
    c->model = rest.v[0];
    return OK;
}
