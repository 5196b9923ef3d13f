/* pieces.h -- a long array from one rank to another while both do other things.
 *
 *     |  moved  | under way: at most PIECES_AHEAD pieces |  not yet  |
 *
 * Both sides post their pieces in order and ahead, so that each goes straight from its array into
 * the other; what is under way is bounded, however long the array is.  MPI moves it whenever the
 * rank is in any call of it; pieces_go_on() posts the next ones.
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

/* Begin.  Local; the other side does the opposite with the same tag, bytes and piece, and no
 * other message between the two has that tag.  bytes may be 0. */
void pieces_send(struct pieces *p, const struct axis *axis, int to, int tag, const void *data,
                 int64_t bytes, int64_t piece);
void pieces_receive(struct pieces *p, const struct axis *axis, int from, int tag, void *data,
                    int64_t bytes, int64_t piece);

/* Post what may be posted.  Local.  returns 1 when all has moved, and then for ever */
int pieces_go_on(struct pieces *p);

/* To the end: waits for the other side. */
void pieces_wait(struct pieces *p);

#endif
