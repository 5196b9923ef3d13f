/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of any length arrive whole, in pieces of which few are under way, from all ranks at
 * once. */
#include <string.h>

#include "mpi/grid/pieces.h"
#include "tests/mpi/mpitest.h"

enum { PIECE = 1000 };

static unsigned char byte_of(int rank, int64_t i) { return (unsigned char)(i * 31 + i / 251 + rank); }

static char *array_of(int rank, int64_t n)
{
    char *a = mem_new(n + 1, 1, "array");
    for (int64_t i = 0; i < n; i++) a[i] = (char)byte_of(rank, i);
    return a;
}

/* Every rank sends n bytes to the next. */
static void around(int64_t n, int waits)
{
    const int to = (world.rank + 1) % world.size, from = (world.rank + world.size - 1) % world.size;
    char *mine = array_of(world.rank, n), *want = array_of(from, n);
    char *got = mem_new(n + 1, 1, "array");
    struct pieces out, in;

    got[n] = 77;
    pieces_send(&out, &world, to, 3, mine, n, PIECE);
    pieces_receive(&in, &world, from, 3, got, n, PIECE);
    if (waits && world.rank % 2) pieces_wait(&in);
    while (pieces_advance(&out) + pieces_advance(&in) < 2) { }
    all_true(&world, !memcmp(got, want, (size_t)n) && got[n] == 77);
    all_true(&world, pieces_advance(&out) && pieces_advance(&in) && in.at == n);
    if (n) want[n - 1] ^= 1;
    all_true(&world, n == 0 || memcmp(got, want, (size_t)n));  /* a wrong byte is noticed */
    mem_free(mine);
    mem_free(want);
    mem_free(got);
}

/* Sizes around multiples of a piece, and of all that may be under way. */
static void arrays_arrive_whole(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 0, 1, 999, 1000, 1001, 3999, 4000, 4001, 9001, 123457 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int waits = 0; waits < 2; waits++) around(sizes[k], waits);
}

/* All to one, whose receives come late: what is posted before them is bounded. */
static void few_are_under_way(void **state)
{
    (void)state;
    enum { LONG = 1 << 20 };  /* too long to leave before its receive is there */
    const int64_t n = 9 * LONG + 17;
    char *mine = array_of(world.rank, n), *got = mem_new(n, world.size, "arrays");
    struct pieces *p = mem_new(world.size, sizeof *p, "moves");
    int64_t wrong = 0;

    if (world.rank > 0) pieces_send(p, &world, 0, 4, mine, n, LONG);
    mpi_do(MPI_Barrier(world.comm));
    all_true(&world, world.rank == 0 || (!pieces_advance(p) && p->at == PIECES_AHEAD * LONG));
    for (int i = 1; world.rank == 0 && i < world.size; i++)
        pieces_receive(&p[i], &world, i, 4, got + i * n, n, LONG);
    for (int i = 1; world.rank == 0 && i < world.size; i++) pieces_wait(&p[i]);
    if (world.rank > 0) pieces_wait(p);
    for (int i = 1; world.rank == 0 && i < world.size; i++)
        for (int64_t k = 0; k < n; k++) wrong += (unsigned char)got[i * n + k] != byte_of(i, k);
    all_true(&world, wrong == 0);
    mem_free(p);
    mem_free(got);
    mem_free(mine);
}

static const struct CMUnitTest tests[] = {
    mpi_test(arrays_arrive_whole),
    mpi_test(few_are_under_way),
};

MPITEST_MAIN(tests)
