/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/grid/grid.h"

#include "src/base/status.h"

static void split(struct axis *out, const struct axis *world, int color, int key)
{
    mpi_do(MPI_Comm_split(world->comm, color, key, &out->comm));
    if (out->comm == MPI_COMM_NULL) {
        *out = (struct axis){ .comm = MPI_COMM_NULL };
        return;
    }
    mpi_do(MPI_Comm_size(out->comm, &out->size));
    mpi_do(MPI_Comm_rank(out->comm, &out->rank));
}

static void cut(struct axis *out, MPI_Comm cart, int along)
{
    int keep[3] = { 0, 0, 0 };
    keep[along] = 1;
    mpi_do(MPI_Cart_sub(cart, keep, &out->comm));
    mpi_do(MPI_Comm_size(out->comm, &out->size));
    mpi_do(MPI_Comm_rank(out->comm, &out->rank));
}

int grid_init(struct grid *g, const struct axis *world, const struct grid_shape *shape)
{
    const int dims[3] = { shape->D, shape->P, shape->S }, around[3] = { 0, 0, 0 };
    int at[3];

    *g = (struct grid){ .shape = *shape };
    axis_check_agree(world, shape->D, "grid, sequences (D)");
    axis_check_agree(world, shape->P, "grid, layers (P)");
    axis_check_agree(world, shape->S, "grid, units (S)");
    if (grid_ranks(shape) != world->size)
        return fail(ERR_CONFIG, "grid %dx%dx%d needs %d ranks, this job has %d%s", shape->D,
                    shape->P, shape->S, grid_ranks(shape), world->size,
                    world->size == 1 ? "; was it started by mpirun or srun?" : "");
    mpi_do(MPI_Cart_create(world->comm, 3, dims, around, 0, &g->world.comm));
    mpi_do(MPI_Comm_size(g->world.comm, &g->world.size));
    mpi_do(MPI_Comm_rank(g->world.comm, &g->world.rank));
    mpi_do(MPI_Cart_coords(g->world.comm, g->world.rank, 3, at));
    g->d = at[0];
    g->p = at[1];
    g->s = at[2];
    check(grid_rank(shape, g->d, g->p, g->s) == g->world.rank);
    cut(&g->data, g->world.comm, 0);
    cut(&g->pipe, g->world.comm, 1);
    cut(&g->seq, g->world.comm, 2);
    split(&g->replica, &g->world, g->p, g->world.rank);
    const int at_end = shape->P > 1 && (g->p == 0 || g->p == shape->P - 1);
    split(&g->ends, &g->world, at_end ? 0 : MPI_UNDEFINED, g->world.rank);
    return OK;
}

void grid_done(struct grid *g)
{
    struct axis *all[] = { &g->data, &g->pipe, &g->seq, &g->replica, &g->ends, &g->world };
    for (int i = 0; i < 6; i++)
        if (all[i]->size > 0) mpi_do(MPI_Comm_free(&all[i]->comm));
    *g = (struct grid){ { 0, 0, 0 }, 0, 0, 0, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 } };
}
