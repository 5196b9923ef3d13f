/* SPDX-License-Identifier: Apache-2.0 */
/* An evaluation on every grid of this many ranks is, bit for bit, that of one process. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/infer/grid_eval.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/kernels/gemm.h"
#include "tests/lib/byte_set.h"
#include "tests/mpi/mpitest.h"

enum { LAYERS = 5 };
static char folder[] = "/tmp/ttt-grid-eval-XXXXXX";

static struct model *small_model(int K)
{
    const struct dims d = { .layer = "ttt_linear", .V = BYTE_VOCAB, .L = LAYERS, .C = 16, .H = 2,
                            .E = 24, .K = K, .conv_width = 4, .gate = 1, .share_qk = 1,
                            .pre_conv = 1, .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-6,
                            .ln_eps = 1e-6, .init_std = 0.1, .inner_lr = 1 };
    struct model *m;
    all_true(&world, model_new(&m, &d) == OK);
    model_init(m, 3);
    return m;
}

static void remove_set(void) { (void)dir_remove(folder); }

/* The end of a document is <unk>, which the first hundred tokens don't have. */
static void name_unk(void)
{
    char *index = mem_format("%s/INDEX", folder);
    struct data_index x;

    check(data_index_read(&x, index, 0) == OK);
    x.unk = BYTE_EOS;
    check(data_index_write(&x, index) == OK);
    data_index_done(&x);
    mem_free(index);
}

/* The data set, made by the first rank when it is first asked for. */
static struct dataset *open_set(void)
{
    static int made;
    struct dataset *d;

    if (!made && world.rank == 0) {
        check(mkdtemp(folder));
        byte_set_write(folder);
        name_unk();
        atexit(remove_set);
    }
    if (!made) mpi_do(MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, world.comm));
    made = 1;
    all_true(&world, dataset_open(&d, folder) == OK);
    return d;
}

static int same(const struct eval_result *a, const struct eval_result *b)
{
    int good = a->nats == b->nats && a->ppl == b->ppl && a->tokens == b->tokens &&
               a->bytes == b->bytes && a->unk_tokens == b->unk_tokens &&
               (a->unk_tokens ? isnan(a->bits_per_byte) && isnan(b->bits_per_byte)
                              : a->bits_per_byte == b->bits_per_byte) &&
               a->windows == b->windows && a->n_buckets == b->n_buckets;
    for (int k = 0; good && k < a->n_buckets; k++) {
        const struct eval_bucket *x = &a->bucket[k], *y = &b->bucket[k];
        good = x->first == y->first && x->last == y->last && x->tokens == y->tokens &&
               (!x->tokens || x->nats == y->nats);
    }
    return good;
}

/* What a rank of another stage has must not matter. */
static void forget_others(struct model *m, const struct grid *g)
{
    const struct step_shape work = { .L = LAYERS, .U = g->shape.S, .sequences = 1,
                                     .micro_batch = 1 };
    struct share a;
    share_of(&a, &g->shape, &work, g->world.rank);
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        int l;
        if (sscanf(p->name, "model.layers.%d.", &l) != 1 || (l >= a.l0 && l < a.l1)) continue;
        for (int64_t k = 0; k < p->n; k++) m->w[p->offset + k] = (real)NAN;
    }
}

static const struct { int64_t context, max_tokens; int mask, K; } cases[] = {
    { 64, 0, BYTE_BOS, 16 },     /* many windows side by side, a last one cut off       */
    { 1000000, 0, -1, 16 },      /* one window                                          */
    { 1025, 0, BYTE_BOS, 16 },   /* a last unit of one token                            */
    { 1, 300, -1, 16 },          /* windows of one token, fewer than there are ranks    */
    { 100, 501, -1, 4 },         /* a last window of one token                          */
    { 40, 39, -1, 1 },           /* one window, mini-batches of one token; no <unk>     */
    { 513, 0, -1, 27 },          /* a mini-batch that divides nothing                   */
};

static void compare(const struct grid *g, int i)
{
    struct eval_inner inner[2][LAYERS];
    struct eval_opts o = { .context = cases[i].context, .max_tokens = cases[i].max_tokens,
                           .mask_token = cases[i].mask };
    struct dataset *d = open_set();
    struct model *m = small_model(cases[i].K);
    struct eval_result one, many;

    memset(inner, 0, sizeof inner);
    o.inner = o.context > 1 ? inner[0] : NULL;
    all_true(&world, eval_run(&one, m, d, &o) == OK);
    all_true(&world, (one.unk_tokens > 0) == (o.max_tokens != 39));
    forget_others(m, g);
    o.inner = o.context > 1 ? inner[1] : NULL;
    all_true(&world, grid_eval(&many, g, m, d, &o) == OK);
    all_true(&world, same(&one, &many));
    all_true(&world, !memcmp(inner[0], inner[1], sizeof inner[0]));

    /* The comparison can fail. */
    m->w[m->params.p[m->i_norm].offset] += (real)1e-3;
    o.inner = NULL;
    all_true(&world, grid_eval(&many, g, m, d, &o) == OK);
    all_true(&world, !same(&one, &many));
    model_free(m);
    dataset_close(d);
}

static void every_grid_is_one_process_bitwise(void **state)
{
    (void)state;
    for (int P = 1; P <= LAYERS && P <= world.size; P++)
        for (int S = 1; S <= 8 && P * S <= world.size; S++) {
            if (world.size % (P * S)) continue;
            const struct grid_shape shape = { world.size / (P * S), P, S };
            struct grid g;
            all_true(&world, grid_init(&g, &world, &shape) == OK);
            for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) compare(&g, i);
            grid_done(&g);
        }
}

/* One rank's trouble is everybody's: a model that is not a number on its last stage only, a block
 * that only the last rank can't read, a vocabulary that does not fit. */
static void errors_are_everybodys(void **state)
{
    (void)state;
    const int last = world.rank == world.size - 1;
    const struct grid_shape shape = { 1, 1, world.size };
    const struct eval_opts o = { .context = 2000, .mask_token = -1 };
    struct eval_result r;
    struct grid g;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    struct dataset *d = open_set();
    struct model *m = small_model(16);
    if (last) m->w[m->params.p[m->i_norm].offset] = (real)NAN;
    all_true(&world, grid_eval(&r, &g, m, d, &o) == ERR_DIVERGED);
    if (last) m->w[m->params.p[m->i_norm].offset] = 1;
    all_true(&world, grid_eval(&r, &g, m, d, &o) == OK);
    dataset_close(d);

    d = open_set();  /* nothing of it in memory; and now its end is damaged */
    char *path = mem_format("%s/shard-000000.tts", folder);
    if (last) {
        FILE *f = fopen(path, "r+b");
        check(f && !fseek(f, 2000, SEEK_SET));
        fputs("damaged", f);
        fclose(f);
    }
    mpi_do(MPI_Barrier(world.comm));
    all_true(&world, grid_eval(&r, &g, m, d, &o) == ERR_DATA);
    mem_free(path);
    dataset_close(d);
    model_free(m);
    grid_done(&g);
}

static const struct CMUnitTest tests[] = {
    mpi_test(every_grid_is_one_process_bitwise),
    mpi_test(errors_are_everybodys),
};

MPITEST_MAIN(tests)
