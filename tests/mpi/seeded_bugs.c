/* SPDX-License-Identifier: Apache-2.0 */
/* seeded_bugs.c -- small programs, each with one mistake in its use of MPI, for the test of the
 * checker (test_mpicheck.sh).  Number 0 has none and uses everything that the checker counts.
 *
 * Every mistake is such that the program ends by itself without the checker, or hangs; none
 * depends on timing.  Runs on three ranks or more; the rank that is wrong is number 1. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/grid/grid.h"
#include "src/base/status.h"

static struct axis world;
static int wrong;  /* we are the rank with the mistake */

enum { MOST = 16 };  /* ranks */

/* Requests out of order, of derived types, to nobody; own halves of a grid. */
static void clean_messages(void)
{
    struct grid g;
    const struct grid_shape shape = { 1, world.size, 1 };
    const int lengths[2] = { 1, 2 };
    const MPI_Aint at[2] = { 2 * sizeof(int), 0 };
    int out[3] = { 0 }, in[5];
    MPI_Request r[5];
    MPI_Datatype type;

    check(grid_init(&g, &world, &shape) == OK);
    mpi_do(MPI_Type_create_hindexed(2, lengths, at, MPI_INT, &type));
    mpi_do(MPI_Type_commit(&type));
    const MPI_Comm ring = g.pipe.comm;
    const int right = (g.pipe.rank + 1) % g.pipe.size;
    const int left = (g.pipe.rank + g.pipe.size - 1) % g.pipe.size;
    mpi_do(MPI_Irecv(in, 3, MPI_INT, left, 0, ring, &r[0]));
    mpi_do(MPI_Irecv(in + 3, 2, MPI_INT, MPI_ANY_SOURCE, 1, ring, &r[1]));
    mpi_do(MPI_Isend(out, 1, type, right, 0, ring, &r[2]));
    mpi_do(MPI_Isend(out, 2, MPI_INT, left, 1, ring, &r[3]));
    mpi_do(MPI_Isend(out, 1, MPI_INT, MPI_PROC_NULL, 0, ring, &r[4]));
    mpi_do(MPI_Wait(&r[3], MPI_STATUS_IGNORE));
    mpi_do(MPI_Waitall(5, r, mpi_ignored));
    mpi_do(MPI_Sendrecv(out, 1, MPI_INT, right, 7, in, 1, MPI_INT, left, 7, ring,
                        MPI_STATUS_IGNORE));
    mpi_do(MPI_Type_free(&type));
    grid_done(&g);
}

/* Counts that differ between ranks where they may; groups, a window. */
static void clean_collectives(void)
{
    int out[3] = { 1, 2, 3 }, in[3], all[3 * MOST] = { 0 }, counts[MOST], places[MOST], size = 0;
    MPI_Request r[2];
    MPI_Group group, part;
    MPI_Win window;

    for (int i = 0; i < world.size; i++) {
        counts[i] = i % 2 ? 3 : 2;
        places[i] = size;
        size += counts[i];
    }
    const int own = counts[world.rank];
    mpi_do(MPI_Ireduce_scatter(all, in, counts, MPI_INT, MPI_SUM, world.comm, &r[0]));
    mpi_do(MPI_Ibarrier(world.comm, &r[1]));
    mpi_do(MPI_Waitall(2, r, mpi_ignored));
    mpi_do(MPI_Iallgatherv(out, own, MPI_INT, all, counts, places, MPI_INT, world.comm, &r[0]));
    mpi_do(MPI_Wait(&r[0], MPI_STATUS_IGNORE));
    mpi_do(MPI_Gatherv(out, own, MPI_INT, all, counts, places, MPI_INT, 2, world.comm));
    mpi_do(MPI_Bcast(out, 3, MPI_INT, 1, world.comm));
    mpi_do(MPI_Comm_group(world.comm, &group));
    mpi_do(MPI_Group_incl(group, 1, &wrong, &part));
    mpi_do(MPI_Group_free(&part));
    mpi_do(MPI_Group_free(&group));
    mpi_do(MPI_Win_create(in, sizeof in, 1, MPI_INFO_NULL, world.comm, &window));
    mpi_do(MPI_Win_free(&window));
}

static void clean(void)
{
    clean_messages();
    clean_collectives();
}

static void mismatched_collective(void)
{
    int x = 1, all = 0;
    if (wrong) mpi_do(MPI_Bcast(&x, 1, MPI_INT, 0, world.comm));
    else mpi_do(MPI_Allreduce(&x, &all, 1, MPI_INT, MPI_SUM, world.comm));
}

static void different_root(void)
{
    int x = 1;
    mpi_do(MPI_Bcast(&x, 1, MPI_INT, wrong ? 1 : 0, world.comm));
}

static void different_count(void)
{
    int x[4] = { 1 }, all[4];
    mpi_do(MPI_Allreduce(x, all, wrong ? 3 : 4, MPI_INT, MPI_SUM, world.comm));
}

static void different_op(void)
{
    int x = 1, all;
    mpi_do(MPI_Allreduce(&x, &all, 1, MPI_INT, wrong ? MPI_MAX : MPI_SUM, world.comm));
}

static void leaked_request(void)
{
    int x = 1, in;
    MPI_Request r[2];
    if (world.rank == 0) mpi_do(MPI_Recv(&in, 1, MPI_INT, 1, 3, world.comm, MPI_STATUS_IGNORE));
    if (!wrong) return;
    mpi_do(MPI_Isend(&x, 1, MPI_INT, 0, 3, world.comm, &r[0]));
    mpi_do(MPI_Isend(&x, 1, MPI_INT, MPI_PROC_NULL, 3, world.comm, &r[1]));
    mpi_do(MPI_Wait(&r[1], MPI_STATUS_IGNORE));
}

static void leaked_communicator(void)
{
    MPI_Comm part;
    mpi_do(MPI_Comm_split(world.comm, wrong, 0, &part));
    if (!wrong) mpi_do(MPI_Comm_free(&part));
}

static void leaked_datatype(void)
{
    MPI_Datatype type;
    mpi_do(MPI_Type_contiguous(3, MPI_INT, &type));
    mpi_do(MPI_Type_commit(&type));
    if (!wrong) mpi_do(MPI_Type_free(&type));
}

static void leaked_group(void)
{
    MPI_Group group;
    mpi_do(MPI_Comm_group(world.comm, &group));
    if (!wrong) mpi_do(MPI_Group_free(&group));
}

static void *probe(void *arg)
{
    int any;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, world.comm, &any, MPI_STATUS_IGNORE);
    return arg;
}

static void another_thread(void)
{
    pthread_t t;
    if (!wrong) return;
    check(!pthread_create(&t, NULL, probe, NULL));
    pthread_join(t, NULL);
}

static void unmatched_send(void)
{
    int x = 1;
    if (wrong) mpi_do(MPI_Send(&x, 1, MPI_INT, 2, 5, world.comm));
}

static void missing_participation(void)
{
    if (!wrong) mpi_do(MPI_Barrier(world.comm));
}

/* Both on their own communicator, so that each call fits what the others call on it. */
static void wrong_order(void)
{
    struct grid g;
    const struct grid_shape shape = { 1, 1, world.size };
    int x = 1, all;

    check(grid_init(&g, &world, &shape) == OK);
    mpi_do(MPI_Allreduce(&x, &all, 1, MPI_INT, MPI_SUM, wrong ? world.comm : g.seq.comm));
    mpi_do(MPI_Allreduce(&x, &all, 1, MPI_INT, MPI_SUM, wrong ? g.seq.comm : world.comm));
    grid_done(&g);
}

/* Beyond the twelve. */
static void different_count_later(void)
{
    int x[8] = { 1 }, all[8];
    MPI_Request r;
    mpi_do(MPI_Iallreduce(x, all, wrong ? 8 : 4, MPI_INT, MPI_SUM, world.comm, &r));
    mpi_do(MPI_Wait(&r, MPI_STATUS_IGNORE));
}

static void leaked_window(void)
{
    static int memory[4];
    MPI_Win window;
    mpi_do(MPI_Win_create(memory, sizeof memory, 1, MPI_INFO_NULL, world.comm, &window));
}

static void add(void *in, void *sum, int *n, MPI_Datatype *type)
{
    (void)type;
    for (int i = 0; i < *n; i++) ((int *)sum)[i] += ((int *)in)[i];
}

static void leaked_operation(void)
{
    MPI_Op op;
    mpi_do(MPI_Op_create(add, 1, &op));
    if (!wrong) mpi_do(MPI_Op_free(&op));
}

static void gatherv_too_little(void)
{
    int x[2] = { 1, 2 }, all[2 * MOST], counts[MOST], places[MOST];
    for (int i = 0; i < world.size; i++) {
        counts[i] = 2;
        places[i] = 2 * i;
    }
    mpi_do(MPI_Gatherv(x, wrong ? 1 : 2, MPI_INT, all, counts, places, MPI_INT, 0, world.comm));
}

static void (*const programs[])(void) = {
    clean, mismatched_collective, different_root, different_count, different_op, leaked_request,
    leaked_communicator, leaked_datatype, leaked_group, another_thread, unmatched_send,
    missing_participation, wrong_order, different_count_later, leaked_window, leaked_operation,
    gatherv_too_little,
};

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : -1;
    if (n < 0 || n >= (int)(sizeof programs / sizeof *programs)) return -ERR_USAGE;
    comm_start(&world);
    check(world.size >= 3 && world.size <= MOST);
    wrong = world.rank == 1;
    programs[n]();
    comm_stop(&world);
    return 0;
}
