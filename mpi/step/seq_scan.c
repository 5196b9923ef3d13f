/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/seq_scan.h"

#include "mpi/step/seq_halo.h"
#include "src/base/mem.h"
#include "src/base/poke.h"
#include "src/model/stage_seq.h"

struct seq_scan {
    const struct axis *seq;
    struct stage      *st;
    struct block_hooks hooks;
    struct seq_halo    halo;
    MPI_Comm           back;     /* the ranks of seq, last one first              */
    MPI_Op             compose;
    real              *before;   /* the map of all earlier (backward: later) ranks */
    int64_t            room, bytes;
};

/* One element of the type is a map, n decays and n offsets: both (p, h) after in (P, H) is
 * (p P, p H + h). */
static void compose(void *in, void *both, int *count, MPI_Datatype *type)
{
    const real *first = in;
    real *second = both;
    MPI_Count bytes;

    mpi_do(MPI_Type_size_x(*type, &bytes));
    const int64_t n = bytes / (int64_t)sizeof(real) / 2;
    for (int k = 0; k < *count; k++, first += 2 * n, second += 2 * n)
        for (int64_t i = 0; i < n; i++) {
            second[n + i] += second[i] * first[n + i];
            second[i] *= first[i];
        }
}

/* Our map to all ranks after us (backward: before us), and theirs, composed, to our state. */
static void pass_on(struct seq_scan *x, int back)
{
    const int first = back ? x->seq->size - 1 : 0, last = x->seq->size - 1 - first;
    MPI_Datatype type;
    int64_t n;
    real *map = stage_seq_map(x->st, &n);

    if (x->room < n) {
        x->before = mem_resize(x->before, 2 * n, sizeof *x->before, "maps of a scan");
        x->room = n;
    }
    mpi_do(MPI_Type_contiguous(mpi_count(2 * n), REAL_MPI, &type));
    mpi_do(MPI_Type_commit(&type));
    mpi_do(MPI_Exscan(map, x->before, 1, type, x->compose, back ? x->back : x->seq->comm));
    mpi_do(MPI_Type_free(&type));
    if (x->seq->rank != last) x->bytes += 2 * n * (int64_t)sizeof(real);
    if (x->seq->rank != first) stage_seq_map_enter(x->st, x->before, back);
}

/* --- hooks (block.h) ------------------------------------------------------------ */

static void begin(void *ctx, int back)
{
    struct seq_scan *x = ctx;
    (void)back;
    stage_seq_map_start(x->st);
}

static void halo(void *ctx, int which, int back)
{
    struct seq_scan *x = ctx;
    seq_halo(&x->halo, which, back);
}

static void give(void *ctx, int j, int back)
{
    struct seq_scan *x = ctx;
    stage_seq_map_add(x->st, j, back);
    poke();
}

static void middle(void *ctx, int back) { pass_on(ctx, back); }

/* --- the module ------------------------------------------------------------------ */

struct seq_scan *seq_scan_new(const struct axis *seq, struct stage *st)
{
    struct seq_scan *x = mem_new(1, sizeof *x, "scan mode");

    *x = (struct seq_scan){ .seq = seq, .st = st, .halo = { seq, st, 0 } };
    x->hooks = (struct block_hooks){ .ctx = x, .begin = begin, .halo = halo, .give = give,
                                     .middle = middle };
    mpi_do(MPI_Comm_split(seq->comm, 0, seq->size - 1 - seq->rank, &x->back));
    mpi_do(MPI_Op_create(compose, 0, &x->compose));
    return x;
}

void seq_scan_free(struct seq_scan *x)
{
    if (!x) return;
    mpi_do(MPI_Op_free(&x->compose));
    mpi_do(MPI_Comm_free(&x->back));
    mem_free(x->before);
    mem_free(x);
}

const struct block_hooks *seq_scan_hooks(const struct seq_scan *x) { return &x->hooks; }

struct seq_bytes seq_scan_bytes(const struct seq_scan *x)
{
    return (struct seq_bytes){ 0, x->halo.bytes + x->bytes };
}
