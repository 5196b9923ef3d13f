/* SPDX-License-Identifier: Apache-2.0 */
/* pieces.h -- send a long array from one rank to another in the background.
 *
 *     |  moved  | under way: at most PIECES_AHEAD pieces |  not yet  |
 *
 * The array is cut into pieces, one message each.  Both sides post their pieces in the same order
 * and some in advance, so that MPI copies each piece from one array into the other without a
 * buffer; how much is under way is bounded, however long the array is.  MPI moves data whenever the
 * rank is in any MPI call; pieces_advance() posts the next pieces.
 */
#ifndef PIECES_H
#define PIECES_H

#include "mpi/grid/comm.h"

enum { PIECES_AHEAD = 4 };

struct pieces {
    const struct axis *axis;
    char              *data;      /* borrowed until all of it has moved */
    int64_t            bytes, at; /* of the array; posted               */
    int64_t            piece;     /* bytes of one                       */
    int                peer, tag, sends;
    int                oldest, under_way;  /* in request, a ring       */
    MPI_Request        request[PIECES_AHEAD];
};

/* Begin to send or receive data[0, bytes).
 *
 * Local; the peer begins the opposite with the same tag, bytes and piece, and no other message
 * between the two may have that tag.
 *
 * data     borrowed until all has moved
 * bytes    >= 0
 * piece    bytes of one message, > 0 */
void pieces_send(struct pieces *p, const struct axis *axis, int to, int tag, const void *data,
                 int64_t bytes, int64_t piece);
void pieces_receive(struct pieces *p, const struct axis *axis, int from, int tag, void *data,
                    int64_t bytes, int64_t piece);

/* Post as many pieces as are allowed to be under way.  Local, does not wait.
 *
 * returns  1 when all has moved, and in every later call; else 0 */
int pieces_advance(struct pieces *p);

/* Finish the transfer.  Waits for the peer, so it is Collective on the two ranks. */
void pieces_wait(struct pieces *p);

#endif
