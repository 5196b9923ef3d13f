/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/grid/pieces.h"

static void begin(struct pieces *p, const struct axis *axis, int peer, int tag, void *data,
                  int64_t bytes, int64_t piece, int sends)
{
    *p = (struct pieces){ .axis = axis, .data = data, .bytes = bytes, .piece = piece,
                          .peer = peer, .tag = tag, .sends = sends };
    (void)pieces_advance(p);
}

void pieces_send(struct pieces *p, const struct axis *axis, int to, int tag, const void *data,
                 int64_t bytes, int64_t piece)
{
    begin(p, axis, to, tag, (void *)data, bytes, piece, 1);  /* MPI only reads it */
}

void pieces_receive(struct pieces *p, const struct axis *axis, int from, int tag, void *data,
                    int64_t bytes, int64_t piece)
{
    begin(p, axis, from, tag, data, bytes, piece, 0);
}

static void post(struct pieces *p)
{
    const int64_t left = p->bytes - p->at;
    const int n = mpi_count(left < p->piece ? left : p->piece);
    char *from = p->data + p->at;
    MPI_Request *r = &p->request[(p->oldest + p->under_way++) % PIECES_AHEAD];

    if (p->sends) mpi_do(MPI_Isend(from, n, MPI_BYTE, p->peer, p->tag, p->axis->comm, r));
    else mpi_do(MPI_Irecv(from, n, MPI_BYTE, p->peer, p->tag, p->axis->comm, r));
    p->at += n;
}

/* Pieces arrive in order, so testing the oldest request is enough. */
static int advance(struct pieces *p, int wait)
{
    for (;;) {
        int done = 1;
        while (p->under_way < PIECES_AHEAD && p->at < p->bytes) post(p);
        if (!p->under_way) return 1;
        MPI_Request *r = &p->request[p->oldest];
        if (wait) mpi_do(MPI_Wait(r, MPI_STATUS_IGNORE));
        else mpi_do(MPI_Test(r, &done, MPI_STATUS_IGNORE));
        if (!done) return 0;
        p->oldest = (p->oldest + 1) % PIECES_AHEAD;
        p->under_way--;
    }
}

int pieces_advance(struct pieces *p) { return advance(p, 0); }
void pieces_wait(struct pieces *p) { (void)advance(p, 1); }
