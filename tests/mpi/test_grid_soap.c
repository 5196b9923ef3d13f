/* SPDX-License-Identifier: Apache-2.0 */
/* SOAP on every grid: with whole matrices the same bits as one process, weights and all state;
 * spread ones (mpi/soap/soap_spread.h) as tests/lib/soap_ref.c has them, to rounding. */
#include <math.h>
#include <string.h>

#include "mpi/state/train_state.h"
#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/base/tiling.h"
#include "src/kernels/gemm.h"
#include "src/optim/sched.h"
#include "src/param/factor.h"
#include "src/store/tile.h"
#include "tests/lib/soap_ref.h"
#include "tests/mpi/mpitest.h"

enum { UPDATES = 7 };

static struct dims dims_of(int tied)
{
    struct dims d = { .layer = "ttt_linear", .V = 2500, .L = 4, .C = 44, .H = 2, .E = 70, .K = 4,
                      .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = tied,
                      .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.3,
                      .inner_lr = 1 };
    return d;
}

static const struct optim_opts opts = { .kind = OPTIM_SOAP, .lr = 3e-3, .min_lr = 1e-5,
    .warmup_steps = 2, .decay_steps = 20, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
    .weight_decay = 0.1, .clip_norm = 1, .max_dim = 64, .whole_dim = 64, .precondition_every = 3,
    .factor_beta = 0.9 };

/* Far from singular, with eigenvalues that are apart: so bases are unique but for signs. */
static real gradient(const struct param *p, int64_t i, int step)
{
    const int64_t c = p->shape[p->ndim - 1], r = p->shape[p->ndim > 1 ? p->ndim - 2 : 0];
    const double noise = rng_normal((uint64_t)p->offset * 100 + (uint64_t)step, (uint64_t)i);
    return (real)(0.02 * noise + (i / c % r == i % c ? 1 + (double)(i % c) / (double)c : 0));
}

/* Sums as reducer_end() leaves them: right where we own, nothing elsewhere. */
static void fill(struct grad *g, const struct train_state *s, int step)
{
    const struct param_table *t = &s->model->params;
    const struct span *own;
    const int n = reducer_spans(s->reducer, &own);

    grad_begin(g, 1);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < t->count; i++)
            for (int64_t at = t->p[i].offset; at < t->p[i].offset + t->p[i].n; at++)
                if (at >= own[k].begin && at < own[k].end) {
                    const real x = gradient(&t->p[i], at - t->p[i].offset, step);
                    grad_add(g, at, &x, 1);
                }
    grad_end(g, 0, t->total);
}

/* A number that two states share only if all their tiles are equal. */
static uint64_t digest(const struct train_state *s)
{
    int count;
    int64_t n;
    uint64_t sum = 0;
    struct tensor *list = train_state_tensors(s, &count);
    struct place *p = train_state_places(s, 0, &n);

    for (int64_t k = 0; k < n; k++) {
        const struct tile tile = tile_at(&list[p[k].tensor], p[k].tile);
        sum += tile_leaf(&list[p[k].tensor], &tile, p[k].raw).lo;
    }
    mem_free(list);
    mem_free(p);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_UINT64_T, MPI_SUM, s->grid->world.comm));
    return sum;
}

static void start(struct train_state *s, const struct grid *g, const struct dims *d,
                  const struct optim_opts *o)
{
    all_true(&world, train_state_new(s, d, 1, g) == OK);
    train_state_optim(s, o);
    train_state_init(s, 1);
}

/* Some updates of matrices.  returns the digest after them */
static uint64_t run(struct train_state *s)
{
    struct grad g;

    grad_init(&g, &s->model->params, REDUCE_EXACT);
    reducer_attach(s->reducer, &g);
    for (int step = 0; step < UPDATES; step++) {
        fill(&g, s, step);
        soap_step(s->soap, &g, s->model->w, step, 0.5);
        reducer_gather(s->reducer, s->model->w);
    }
    grad_done(&g);
    return digest(s);
}

static uint64_t one_process(const struct dims *d, const struct optim_opts *o)
{
    const struct axis self = { MPI_COMM_SELF, 1, 0 };
    const struct grid_shape shape = { 1, 1, 1 };
    struct train_state s;
    struct grid g;

    all_true(&world, grid_init(&g, &self, &shape) == OK);
    start(&s, &g, d, o);
    const uint64_t sum = run(&s);
    train_state_done(&s);
    grid_done(&g);
    return sum;
}

/* Calls f for all grids of this world. */
static void each_grid(void (*f)(const struct grid *g, int tied))
{
    for (int P = 1; P <= 4; P++)
        for (int S = 1; S <= 8; S++) {
            if (world.size % (P * S)) continue;
            const struct grid_shape shape = { world.size / (P * S), P, S };
            struct grid g;
            all_true(&world, grid_init(&g, &world, &shape) == OK);
            for (int tied = 0; tied < 2; tied++) f(&g, tied);
            grid_done(&g);
        }
}

static uint64_t alone[2];

static void whole(const struct grid *g, int tied)
{
    const struct dims d = dims_of(tied);
    struct train_state s;

    start(&s, g, &d, &opts);
    all_true(&world, run(&s) == alone[tied]);
    if (world.rank == 0) s.model->w[s.model->params.p[s.model->i_embed].offset] += 1;
    all_true(&world, digest(&s) != alone[tied]);           /* the comparison can fail */
    train_state_done(&s);
}

static void whole_matrices_same_bits(void **state)
{
    (void)state;
    gemm_start();
    for (int tied = 0; tied < 2; tied++) {
        const struct dims d = dims_of(tied);
        alone[tied] = one_process(&d, &opts);
    }
    each_grid(whole);
}

/* --- spread over processes ------------------------------------------------------------ */

/* Weights of one matrix after UPDATES, by the plain writing. */
static void reference(double *w, const struct param *p, const struct optim_opts *o, int every)
{
    const int r = (int)p->shape[0], c = (int)p->shape[1];
    struct soap_ref ref;
    double *g = mem_new(p->n, sizeof *g, "reference");

    soap_ref_init(&ref, r, c, o->max_dim, every, o->beta1, o->beta2, o->factor_beta, o->eps);
    for (int step = 0; step < UPDATES; step++) {
        for (int64_t i = 0; i < p->n; i++) g[i] = 0.5 * (double)gradient(p, i, step);
        if (!soap_ref_update(&ref, g)) continue;
        for (int64_t i = 0; i < p->n; i++)
            w[i] -= sched_lr(o, step) * (g[i] + o->weight_decay * w[i]);
    }
    soap_ref_done(&ref);
    mem_free(g);
}

/* Largest difference over the matrices of our layers that are not stacks. */
static double distance(const struct train_state *s, const struct optim_opts *o, int every)
{
    const struct param_table *t = &s->model->params;
    const struct span *held;
    const int n = reducer_holds(s->reducer, &held);
    double worst = 0;

    for (int i = 0; i < t->count; i++) {
        const struct param *p = &t->p[i];
        struct factored f;
        int here = 0;
        for (int k = 0; k < n; k++)
            here |= p->offset >= held[k].begin && p->offset < held[k].end;
        if (!here || !factored_of(&f, p, o->max_dim) || f.matrices > 1) continue;
        /* The reference is slow: a third of them, large ones on one rank alone. */
        if (i % 3 || (p->n > 5000 && i % world.size != world.rank)) continue;
        real *start = mem_new(t->total, sizeof *start, "test");
        double *w = mem_new(p->n, sizeof *w, "test");
        param_init_one(start, p, 1);
        for (int64_t k = 0; k < p->n; k++) w[k] = (double)start[p->offset + k];
        reference(w, p, o, every);
        for (int64_t k = 0; k < p->n; k++)
            worst = fmax(worst, fabs(w[k] - (double)s->model->w[p->offset + k]));
        mem_free(start);
        mem_free(w);
    }
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_DOUBLE, MPI_MAX, world.comm));
    return worst;
}

/* A direction has elements of about 1, so weights move by about lr a step.  Rounding is amplified
 * by |L| over the gap of eigenvalues, some 1e4, and by the ratio of elements of a rotated gradient,
 * some 1e2: in float only mistakes of layout and of order are seen here, in double all. */
static void spread(const struct grid *g, int tied)
{
    const struct dims d = dims_of(tied);
    const double tolerance = 3e-3 * UPDATES * (sizeof(real) == 4 ? 0.15 : 1e-7);
    struct optim_opts o = opts;
    struct train_state s, again;

    if (tied != (g->shape.P > 1)) return;  /* embeddings of two stages, or a head */
    o.whole_dim = 8;
    start(&s, g, &d, &o);
    const uint64_t sum = run(&s);
    all_true(&world, distance(&s, &o, 3) < tolerance);
    all_true(&world, distance(&s, &o, 4) > tolerance);     /* the comparison can fail */
    start(&again, g, &d, &o);
    all_true(&world, run(&again) == sum);              /* same grid, same bits */
    train_state_done(&s);
    train_state_done(&again);
}

static void spread_matrices(void **state)
{
    (void)state;
    each_grid(spread);
}

static const struct CMUnitTest tests[] = { mpi_test(whole_matrices_same_bits),
                                           mpi_test(spread_matrices) };

MPITEST_MAIN(tests)
