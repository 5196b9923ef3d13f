/* SPDX-License-Identifier: Apache-2.0 */
/* Sums around rings against one MPI_Allreduce of everything: owners have the sum over all holders,
 * as integers and as floats, step after step; and what is handed on is counted. */
#include <string.h>

#include "mpi/step/reduce.h"
#include "src/plan/step_plan.h"
#include "tests/mpi/mpitest.h"

static struct dims dims_of(int tied)
{
    struct dims d = { .layer = "ttt_linear", .V = 37, .L = 4, .C = 12, .H = 2, .E = 10, .K = 4,
                      .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = tied,
                      .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6, .init_std = 0.3,
                      .inner_lr = 1 };
    return d;
}

/* What a rank has of element i: small whole numbers, which floats add up exactly. */
static int64_t value(int rank, int64_t i, int step) { return (rank + 1) * (i % 13 + step); }

static void fill(struct grad *g, const struct reducer *red, int step, int64_t *all)
{
    const struct span *held;
    const int n = reducer_holds(red, &held);
    for (int k = 0; k < n; k++)
        for (int64_t i = held[k].begin; i < held[k].end; i++) {
            all[i] = value(world.rank, i, step);
            if (g->mode == REDUCE_EXACT) g->fixed[i] = all[i];
            else g->floats[i] = (real)all[i];
        }
}

static int own_is(const struct grad *g, const struct reducer *red, const int64_t *all)
{
    const struct span *own;
    const int n = reducer_spans(red, &own);
    int good = 1;
    for (int k = 0; k < n; k++)
        for (int64_t i = own[k].begin; i < own[k].end; i++)
            good &= g->mode == REDUCE_EXACT ? g->fixed[i] == all[i]
                                            : g->floats[i] == (real)all[i];
    return good;
}

static void begin_all(struct reducer *red, const struct step_plan *plan)
{
    for (int k = 0; k < plan->count; k++) {
        if (plan->ops[k].kind == OP_REDUCE) reducer_begin(red, plan->ops[k].l);
        reducer_progress(red);
    }
}

static void compare(const struct grid *grid, int tied, enum reduction mode)
{
    const struct dims d = dims_of(tied);
    const struct step_shape w = { .L = d.L, .U = 8, .sequences = 8, .micro_batch = 1 };
    struct step_plan plan;
    struct model *m;
    struct grad g;

    all_true(&world, model_new(&m, &d) == OK);
    grad_init(&g, &m->params, mode);
    step_plan_init(&plan, &grid->shape, &w, tied, world.rank);
    struct reducer *red = reducer_new(grid, m);
    reducer_attach(red, &g);
    int64_t *all = mem_new(m->params.total, sizeof *all, "test");
    for (int step = 0; step < 3; step++) {
        memset(all, 0, (size_t)m->params.total * sizeof *all);
        fill(&g, red, step, all);
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, all, mpi_count(m->params.total), MPI_INT64_T, MPI_SUM,
                             world.comm));
        begin_all(red, &plan);
        reducer_end(red);
        all_true(&world, own_is(&g, red, all));
    }
    all[0]++;  /* the comparison can fail, where element 0 is owned */
    int same = own_is(&g, red, all);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &same, 1, MPI_INT, MPI_MIN, world.comm));
    all_true(&world, !same);

    /* Every holder but the owner hands an element on. */
    const int64_t each = mode == REDUCE_EXACT ? 8 : (int64_t)sizeof(real);
    const struct span *held;
    int64_t sent = reducer_bytes(red), more = world.rank ? 0 : -m->params.total;
    for (int k = 0, n = reducer_holds(red, &held); k < n; k++)
        more += held[k].end - held[k].begin;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &sent, 1, MPI_INT64_T, MPI_SUM, world.comm));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &more, 1, MPI_INT64_T, MPI_SUM, world.comm));
    all_true(&world, sent == 3 * each * more);

    mem_free(all);
    reducer_free(red);
    step_plan_done(&plan);
    grad_done(&g);
    model_free(m);
}

static void owners_have_the_sum(void **state)
{
    (void)state;
    for (int P = 1; P <= 4; P++)
        for (int S = 1; S <= 8; S++) {
            if (world.size % (P * S)) continue;
            const struct grid_shape shape = { world.size / (P * S), P, S };
            struct grid g;
            all_true(&world, grid_init(&g, &world, &shape) == OK);
            for (int k = 0; k < 4; k++) compare(&g, k % 2, k < 2 ? REDUCE_EXACT : REDUCE_FAST);
            grid_done(&g);
        }
}

static const struct CMUnitTest tests[] = { mpi_test(owners_have_the_sum) };

MPITEST_MAIN(tests)
