#include "mpi/step/seq_scan.h"

#include "mpi/step/seq_halo.h"
#include "src/base/mem.h"
#include "src/base/poke.h"
#include "src/model/stage_heads.h"

struct seq_scan {
    const struct axis *seq;
    struct stage      *st;
    int                again;    /* blocks are computed a second time in backward */
    struct seq_halo    halo;
    MPI_Comm           back;     /* the ranks of seq, last one first              */
    MPI_Op             compose;
    real              *before;   /* the map of all ranks before (behind) us       */
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

struct seq_scan *seq_scan_new(const struct axis *seq, struct stage *st, int again)
{
    struct seq_scan *x = mem_new(1, sizeof *x, "scan mode");

    *x = (struct seq_scan){ .seq = seq, .st = st, .again = again, .halo = { seq, st, 0 } };
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

struct seq_bytes seq_scan_bytes(const struct seq_scan *x)
{
    return (struct seq_bytes){ 0, x->halo.bytes + x->bytes };
}

/* Our map to all ranks behind us (backward: before us), and theirs, composed, to our state. */
static void pass_on(struct seq_scan *x, int slot, int l, int back)
{
    const int first = back ? x->seq->size - 1 : 0, last = x->seq->size - 1 - first;
    MPI_Datatype type;
    int64_t n;
    real *map = stage_scan_map(x->st, slot, &n);

    if (x->room < n) {
        x->before = mem_resize(x->before, 2 * n, sizeof *x->before, "maps of a scan");
        x->room = n;
    }
    mpi_do(MPI_Type_contiguous(mpi_count(2 * n), REAL_MPI, &type));
    mpi_do(MPI_Type_commit(&type));
    mpi_do(MPI_Exscan(map, x->before, 1, type, x->compose, back ? x->back : x->seq->comm));
    mpi_do(MPI_Type_free(&type));
    if (x->seq->rank != last) x->bytes += 2 * n * (int64_t)sizeof(real);
    if (x->seq->rank != first) stage_scan_enter(x->st, slot, l, x->before, back);
}

static void forward(struct seq_scan *x, int slot, int l, int again)
{
    struct stage *st = x->st;
    const int own = stage_heads_own(st);

    stage_heads_start(st, slot, l);
    stage_heads_normalise(st, slot, l);
    seq_halo(&x->halo, slot, l, HALO_CONV);
    stage_heads_project(st, slot, l);
    seq_halo(&x->halo, slot, l, HALO_LAYER);
    stage_scan_start(st, slot);
    for (int j = 0; j < own; j++) {
        stage_heads_mix(st, slot, l, j);
        stage_scan_add(st, slot, l, j, 0);
        poke();
    }
    pass_on(x, slot, l, 0);
    for (int j = 0; j < own; j++) {
        stage_scan_inner(st, slot, l, j);
        stage_heads_finish(st, slot, l, j, again);
        poke();
    }
}

void seq_scan_forward(struct seq_scan *x, int slot, int l) { forward(x, slot, l, 0); }

void seq_scan_backward(struct seq_scan *x, int slot, int l, struct grad *g)
{
    struct stage *st = x->st;
    const int own = stage_heads_own(st);

    if (x->again) forward(x, slot, l, 1);
    stage_heads_back(st, slot, l);
    stage_scan_start(st, slot);
    for (int j = own - 1; j >= 0; j--) {
        stage_heads_finish_backward(st, slot, l, j, g);
        stage_scan_add(st, slot, l, j, 1);
        poke();
    }
    pass_on(x, slot, l, 1);
    for (int j = own - 1; j >= 0; j--) {
        stage_scan_inner_backward(st, slot, l, j, g);
        stage_heads_mix_backward(st, slot, l, j, g);
        poke();
    }
    seq_halo_backward(&x->halo, slot, l, HALO_LAYER);
    for (int j = own - 1; j >= 0; j--) {
        stage_heads_project_backward(st, slot, l, j, g);
        poke();
    }
    seq_halo_backward(&x->halo, slot, l, HALO_CONV);
    stage_heads_normalise_backward(st, slot, l, g);
    if (x->seq->rank == 0) stage_heads_end(st, slot, l, g);
}
