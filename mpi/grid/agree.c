/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/grid/agree.h"

#include <string.h>

#include "src/base/hash.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

enum { TAG_TEXT = 1, SHOWN = 160 };

/* The beginning of the next line. */
static const char *next_line(const char *s)
{
    s += strcspn(s, "\n");
    return *s ? s + 1 : s;
}

/* To the first line that differs; in a long one, to a few words before it does. */
static void to_difference(const char **a, const char **b)
{
    int same = 0;
    for (;;) {
        const char *x = next_line(*a), *y = next_line(*b);
        if (x == *a || x - *a != y - *b || memcmp(*a, *b, (size_t)(x - *a))) break;
        *a = x;
        *b = y;
    }
    while ((*a)[same] && (*a)[same] == (*b)[same]) same++;
    if (same < SHOWN / 2) return;
    *a += same - SHOWN / 4;
    *b += same - SHOWN / 4;
}

static int shown(const char *line)
{
    const size_t n = strcspn(line, "\n");
    return n < SHOWN ? (int)n : SHOWN;
}

/* On rank 0: receive the text of rank `other`, and report the difference. */
static int say(const struct axis *axis, const char *name, const char *text, int other)
{
    MPI_Status s;
    int n;

    mpi_do(MPI_Probe(other, TAG_TEXT, axis->comm, &s));
    mpi_do(MPI_Get_count(&s, MPI_CHAR, &n));
    char *theirs = mem_new(n + 1, 1, name);
    mpi_do(MPI_Recv(theirs, n, MPI_CHAR, other, TAG_TEXT, axis->comm, MPI_STATUS_IGNORE));
    const char *a = text, *b = theirs;
    to_difference(&a, &b);
    fail(ERR_CONFIG, "%s is not the same on all ranks: '%.*s' on rank 0, '%.*s' on rank %d", name,
         shown(a), a, shown(b), b, other);
    mem_free(theirs);
    return ERR_CONFIG;
}

int job_agree(const struct axis *axis, const char *name, const char *text)
{
    const size_t n = strlen(text);
    struct hash mine = hash_bytes(text, n);
    unsigned char first[16];
    int other;

    hash_store(first, mine);
    mpi_do(MPI_Bcast(first, sizeof first, MPI_BYTE, 0, axis->comm));
    const int rank = hash_equal(mine, hash_load(first)) ? axis->size : axis->rank;
    mpi_do(MPI_Allreduce(&rank, &other, 1, MPI_INT, MPI_MIN, axis->comm));
    if (other == axis->size) return OK;
    if (axis->rank == other)
        mpi_do(MPI_Send(text, mpi_count((int64_t)n), MPI_CHAR, 0, TAG_TEXT, axis->comm));
    return axis->rank == 0 ? say(axis, name, text, other) : ERR_CONFIG;
}

int job_prove(const struct axis *axis, const struct proof_of *p, int allow)
{
    char why[PROOF_TEXT] = "";
    const int mine = proof_run(why, p) == OK ? axis->size : axis->rank;
    int first;

    mpi_do(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, axis->comm));
    if (first == axis->size) return OK;
    mpi_do(MPI_Bcast(why, PROOF_TEXT, MPI_CHAR, first, axis->comm));
    if (allow) {
        log_warn("rank %d: %s. Results may differ in the last bits between grids", first, why);
        return OK;
    }
    return fail(ERR_CONFIG, "rank %d: %s. Results would depend on the grid and the number of "
                "threads: use another version of the library or other instructions (TTT_ISA), or set "
                "train.reduction: fast, which does not promise equal bits", first, why);
}
