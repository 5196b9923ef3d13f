/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/seq_halo.h"

#include "src/model/stage_seq.h"

enum { TAG_HALO, TAG_DHALO = TAG_HALO + HALOS };

static MPI_Datatype rows_type(const struct halo_rows *p)
{
    MPI_Datatype type;
    mpi_do(MPI_Type_vector(p->count, mpi_count(p->n), mpi_count(p->stride), REAL_MPI, &type));
    mpi_do(MPI_Type_commit(&type));
    return type;
}

/* To the next rank (by 1) or the one before (-1), if there is one. */
static void send(struct seq_halo *x, const struct halo_rows *p, int by, int tag, MPI_Request *r)
{
    const int to = x->seq->rank + by;
    *r = MPI_REQUEST_NULL;
    if (to < 0 || to >= x->seq->size) return;
    MPI_Datatype type = rows_type(p);
    mpi_do(MPI_Isend(p->at, 1, type, to, tag, x->seq->comm, r));
    mpi_do(MPI_Type_free(&type));
    x->bytes += p->count * p->n * (int64_t)sizeof(real);
}

static void receive(struct seq_halo *x, const struct halo_rows *p, int by, int tag)
{
    const int from = x->seq->rank + by;
    if (from < 0 || from >= x->seq->size) return;
    MPI_Datatype type = rows_type(p);
    mpi_do(MPI_Recv(p->at, 1, type, from, tag, x->seq->comm, MPI_STATUS_IGNORE));
    mpi_do(MPI_Type_free(&type));
}

static void forward(struct seq_halo *x, const struct stage_halo *h, int which)
{
    MPI_Request sent;

    if (!h->early) receive(x, &h->came, -1, TAG_HALO + which);
    stage_seq_halo_leaves(x->st, which);
    send(x, &h->leaves, 1, TAG_HALO + which, &sent);
    if (h->early) receive(x, &h->came, -1, TAG_HALO + which);
    mpi_do(MPI_Wait(&sent, MPI_STATUS_IGNORE));
}

static void backward(struct seq_halo *x, const struct stage_halo *h, int which)
{
    MPI_Request sent = MPI_REQUEST_NULL;

    if (h->early) send(x, &h->dcame, -1, TAG_DHALO + which, &sent);
    receive(x, &h->dleaves, 1, TAG_DHALO + which);
    if (h->early) mpi_do(MPI_Wait(&sent, MPI_STATUS_IGNORE));
    stage_seq_halo_backward(x->st, which);
    if (!h->early) send(x, &h->dcame, -1, TAG_DHALO + which, &sent);
    mpi_do(MPI_Wait(&sent, MPI_STATUS_IGNORE));
}

void seq_halo(struct seq_halo *x, int which, int back)
{
    struct stage_halo h;

    if (!stage_seq_halo(&h, x->st, which)) return;
    if (back) backward(x, &h, which);
    else forward(x, &h, which);
}
