/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/bench/pingpong.h"

#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/mem.h"

enum { SMALL = 8, BATCHES = 11, TAG = 1 };

static int ascending(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Median seconds of one way, over batches of `trips` round trips. */
static double one_way(const struct axis *axis, int other, int first, char *buffer, int bytes,
                      int trips)
{
    double s[BATCHES];
    for (int k = -1; k < BATCHES; k++) {  /* batch -1 warms up */
        const double start = clock_s();
        for (int i = 0; i < trips; i++) {
            if (first) mpi_do(MPI_Send(buffer, bytes, MPI_CHAR, other, TAG, axis->comm));
            mpi_do(MPI_Recv(buffer, bytes, MPI_CHAR, other, TAG, axis->comm, MPI_STATUS_IGNORE));
            if (!first) mpi_do(MPI_Send(buffer, bytes, MPI_CHAR, other, TAG, axis->comm));
        }
        if (k >= 0) s[k] = (clock_s() - start) / (2 * trips);
    }
    qsort(s, BATCHES, sizeof *s, ascending);
    return s[BATCHES / 2];
}

void pingpong(const struct axis *axis, int a, int b, double *latency_s, double *bytes_per_s)
{
    double found[2] = { 0, 0 };

    if (axis->rank == a || axis->rank == b) {
        char *buffer = mem_new(PINGPONG_BYTES, 1, "message");
        const int other = axis->rank == a ? b : a, first = axis->rank == a;
        found[0] = one_way(axis, other, first, buffer, SMALL, 200);
        const double large = one_way(axis, other, first, buffer, PINGPONG_BYTES, 4);
        found[1] = PINGPONG_BYTES / (large > 2 * found[0] ? large - found[0] : large);
        mem_free(buffer);
    }
    mpi_do(MPI_Bcast(found, 2, MPI_DOUBLE, a, axis->comm));
    *latency_s = found[0];
    *bytes_per_s = found[1];
}

int nodes_find(const struct axis *axis, int *node)
{
    MPI_Comm local;
    int first = axis->rank, size;

    mpi_do(MPI_Comm_split_type(axis->comm, MPI_COMM_TYPE_SHARED, axis->rank, MPI_INFO_NULL,
                               &local));
    mpi_do(MPI_Comm_size(local, &size));
    mpi_do(MPI_Bcast(&first, 1, MPI_INT, 0, local));
    mpi_do(MPI_Comm_free(&local));
    mpi_do(MPI_Allgather(&first, 1, MPI_INT, node, 1, MPI_INT, axis->comm));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &size, 1, MPI_INT, MPI_MAX, axis->comm));
    return size;
}
