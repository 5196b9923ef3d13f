/* SPDX-License-Identifier: Apache-2.0 */
/* ttt ckpt spectrum: singular values of weights and fast weights, on any number of processes. */
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "mpi/grid/blacs.h"
#include "mpi/grid/grid.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/text_file.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/token.h"
#include "src/infer/load.h"
#include "src/infer/spectrum.h"
#include "src/kernels/lapack.h"
#include "src/plan/cyclic_plan.h"
#include "src/store/json_name.h"

#define TEXT_BYTES ((size_t)1 << 30)

static const char about[] =
    "Print singular values of every weight matrix of a model, for each head, with two measures of\n"
    "rank: the effective rank exp(entropy of s / sum s), and the stable rank sum s^2 / s_1^2.\n"
    "With --text also those of the fast weights after that text: what a layer has learned from\n"
    "it. Under mpirun processes share the matrices; those with a side of --spread or more are\n"
    "decomposed by all processes together (ScaLAPACK).\n"
    "\n"
    "example\n"
    "  mpirun -n 4 ttt ckpt spectrum logs/my --text book.txt";

struct request {
    const char *model, *text, *tokenizer, *part;
    int64_t     slice, spread;
    int         json;
};

/* --- values -------------------------------------------------------------------------- */

/* All processes have the matrix; each decomposes its blocks of it. */
static void together(struct spectrum *x, const struct blacs *g)
{
    const int nb = cyclic_block(x->n, g->cols);
    struct blocks A;

    x->info = all_finite(x->at, (int64_t)x->rows * x->cols) ? 0 : LAPACK_NOT_FINITE;
    if (x->info) return;
    blocks_init(&A, g, x->cols, x->rows, nb, nb, NULL);
    for (int j = 0; j < A.cols; j++)
        for (int i = 0; i < A.rows; i++)
            A.a[(int64_t)j * A.rows + i] =
                x->at[(int64_t)blocks_col(&A, j) * x->cols + blocks_row(&A, i)];
    x->info = blocks_singular(x->s, &A);
    if (g->axis->rank > 0) memset(x->s, 0, (size_t)x->n * sizeof *x->s);
    blocks_done(&A);
}

static int is_spread(const struct spectrum *x, const struct request *q)
{
    return x->rows >= q->spread || x->cols >= q->spread;
}

/* Which process: each next one is for the one with the least work.  The same on all. */
static int *share(const struct spectra *x, const struct request *q, int processes)
{
    int *owner = mem_new(x->count, sizeof *owner, "shares");
    double *work = mem_new(processes, sizeof *work, "shares");

    for (int i = 0; i < x->count; i++) {
        const struct spectrum *s = &x->v[i];
        int best = 0;
        for (int p = 1; p < processes; p++) if (work[p] < work[best]) best = p;
        owner[i] = processes > 1 && is_spread(s, q) ? -1 : best;
        if (owner[i] >= 0) work[best] += (double)s->rows * s->cols * s->n;
    }
    mem_free(work);
    return owner;
}

/* Owners' values to everybody. */
static void exchange(struct spectra *x, const int *owner, const struct axis *world)
{
    for (int i = 0; i < x->count; i++) {
        const int from = owner[i] < 0 ? 0 : owner[i];
        mpi_do(MPI_Bcast(x->v[i].s, x->v[i].n, REAL_MPI, from, world->comm));
        mpi_do(MPI_Bcast(&x->v[i].info, 1, MPI_INT, from, world->comm));
    }
}

static void find_all(struct spectra *x, const struct request *q, const struct axis *world)
{
    int *owner = share(x, q, world ? world->size : 1), mine = world ? world->rank : 0;
    struct blacs g;
    int rows, cols;

    #pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < x->count; i++)
        if (owner[i] == mine) spectrum_find(&x->v[i]);
    if (world) {
        cyclic_grid(&rows, &cols, world->size);
        blacs_init(&g, world, rows, cols);
        for (int i = 0; i < x->count; i++)
            if (owner[i] < 0) together(&x->v[i], &g);
        blacs_done(&g);
        exchange(x, owner, world);
    }
    mem_free(owner);
}

/* --- a text -------------------------------------------------------------------------- */

static int read_text(struct spectra *x, const struct model *m, const struct load_info *info,
                     const struct request *q)
{
    struct tokenizer *t = NULL;
    char *text = NULL;
    int32_t *body = NULL, *ids = NULL;
    size_t size = 0;
    int64_t n = 0;
    int rc = OK;

    TRY(text_file_read(&text, &size, q->text, TEXT_BYTES));
    TRY(load_tokenizer(&t, info, m, q->tokenizer));
    TRY(tokenizer_encode(t, text, (int64_t)size, &body, &n));
    TRY(model_check_window(&m->dims, n + 1));
    ids = mem_new(n + 1, sizeof *ids, "tokens");
    ids[0] = tokenizer_bos(t);
    if (n) memcpy(ids + 1, body, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i <= n; i++)
        if (ids[i] < 0 || ids[i] >= m->dims.V)
            TRY(fail(ERR_CONFIG, "token %d is none of the model's %d", ids[i], m->dims.V));
    spectra_fast_weights(x, m, ids, n + 1, (int)q->slice, q->part);
out:
    mem_free(ids);
    mem_free(body);
    mem_free(text);
    tokenizer_close(t);
    return rc;
}

/* --- output ---------------------------------------------------------------------------- */

static void print_table(const struct spectra *x)
{
    printf("%-60s %5s %13s %11s %11s %10s %10s\n", "matrix", "head", "shape", "largest", "smallest",
           "effective", "stable");
    for (int i = 0; i < x->count; i++) {
        const struct spectrum *s = &x->v[i];
        char head[16] = "", shape[32];
        if (s->head >= 0) snprintf(head, sizeof head, "%d", s->head);
        snprintf(shape, sizeof shape, "%dx%d", s->rows, s->cols);
        printf("%-60s %5s %13s ", text_visible(s->name), head, shape);
        if (s->info)
            printf("%s\n", s->info > 0 ? "its decomposition failed" : "holds NaN or Inf");
        else
            printf("%11.4g %11.4g %10.2f %10.2f\n", (double)s->s[0], (double)s->s[s->n - 1],
                   spectrum_effective_rank(s), spectrum_stable_rank(s));
    }
}

static json_t *to_json(const struct spectrum *s)
{
    json_t *o = json_pack("{s:s, s:o, s:i, s:i, s:i}", "name", s->name, "head",
                          s->head < 0 ? json_null() : json_integer(s->head), "rows", s->rows,
                          "cols", s->cols, "info", s->info);
    json_t *values = json_array();

    for (int i = 0; !s->info && i < s->n; i++)
        json_array_append_new(values, json_real((double)s->s[i]));
    json_object_set_new(o, "effective_rank", json_real(spectrum_effective_rank(s)));
    json_object_set_new(o, "stable_rank", json_real(spectrum_stable_rank(s)));
    json_object_set_new(o, "singular_values", values);
    return o;
}

static void print_json(const struct spectra *x, const struct load_info *info)
{
    json_t *list = json_array();
    for (int i = 0; i < x->count; i++) json_array_append_new(list, to_json(&x->v[i]));
    json_t *all = json_pack("{s:o, s:I, s:o}", "model", json_name(info->source), "step",
                            (json_int_t)info->step, "matrices", list);
    json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(all);
}

/* world NULL: one process without MPI.  Collective. */
static int run(const struct request *q, const struct axis *world)
{
    struct load_info info = { .step = -1 };
    struct spectra x = { 0 };
    struct model *m = NULL;
    int rc = load_model(&m, &info, q->model);

    if (rc == OK) {
        spectra_weights(&x, m, q->part);
        if (q->text) rc = read_text(&x, m, &info, q);
    }
    if (rc == OK && x.count == 0)
        rc = fail(ERR_USAGE, "%s: no matrix has a name with '%s' in it", q->model, q->part);
    if (world) rc = axis_agree(world, rc);
    if (rc == OK) {
        find_all(&x, q, world);
        if (!world || world->rank == 0) {
            if (q->json) print_json(&x, &info);
            else print_table(&x);
        }
        for (int i = 0; i < x.count; i++) if (x.v[i].info) rc = ERR_DATA;
    }
    spectra_done(&x);
    model_free(m);
    load_done(&info);
    return rc;
}

int cmd_ckpt_spectrum(int argc, char **argv)
{
    struct request q = { .part = "", .slice = 1024, .spread = 4096 };
    int64_t threads = 0;
    const struct arg args[] = {
        { "text", ARG_TEXT, &q.text, "FILE",
          "also print those of the fast weights after this text" },
        { "tensor", ARG_TEXT, &q.part, "PART", "only matrices whose name contains PART" },
        { "json", ARG_FLAG, &q.json, NULL, "print one JSON object with all values" },
        { "spread", ARG_INT, &q.spread, "N", "under mpirun: matrices with a side of N and more are "
          "decomposed by all processes (default 4096)" },
        { "slice", ARG_INT, &q.slice, "N", "read the text in slices of N tokens (default 1024)" },
        { "tokenizer", ARG_TEXT, &q.tokenizer, "FILE",
          "SentencePiece model, or \"bytes\" (default: the model's own)" },
        { "threads", ARG_INT, &threads, "N",
          "number of threads (default: OMP_NUM_THREADS, else all cores)" },
    };
    struct arg_rest rest;
    struct axis world;

    comm_first_reports();
    int rc = args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                        "ttt ckpt spectrum MODEL [--text FILE]", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 1) return fail(ERR_USAGE, "ttt ckpt spectrum takes one MODEL; found %d", rest.n);
    if (q.slice < 1 || q.slice > INT_MAX || q.spread < 1 || threads < 0 || threads > OPENMP_THREADS)
        return fail(ERR_USAGE, "--slice, --spread or --threads is out of range");
    q.model = rest.v[0];
    if (threads) omp_set_num_threads((int)threads);
    if (!comm_several()) return run(&q, NULL);
    comm_start(&world);
    rc = run(&q, &world);
    comm_stop(&world);
    return rc;
}
