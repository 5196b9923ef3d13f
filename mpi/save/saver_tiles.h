/* saver_tiles.h -- the tiles of a save: ours, where they are copied, and how they come to the rank
 * that writes them.
 *
 * Ranks are dealt out to writer files in contiguous groups; the first rank of a group writes.
 */
#ifndef SAVER_TILES_H
#define SAVER_TILES_H

#include "mpi/grid/pieces.h"
#include "mpi/state/train_state.h"

struct saver_tiles {
    struct axis        group;      /* ranks of one writer file; the first writes it */
    int                files, file;  /* how many, and ours                          */
    struct tensor     *tensors;
    int                count;
    double             bytes;      /* raw, of all tensors                           */

    struct place      *own;        /* (n_own) our tiles, raw in the state           */
    int64_t            n_own;
    int64_t           *at;         /* (n_own + 1) where they are in the copy        */
    struct place      *places;     /* (n_places) ours; a writer's: its group's      */
    struct hash       *leaves;     /* (n_places)                                    */
    int64_t            n_places;
    char              *copy;       /* of our tiles; NULL: the state itself is read  */
    char              *received;   /* others' tiles, on a writer                    */
    struct pieces     *moves;      /* (n_moves) leaves and tiles on their way to it */
    int                n_moves;
    int64_t           *of_rank;    /* (group.size) their tiles                      */
};

/* Which tiles go where, the same for all saves.  copy: also a writer copies its own; others send
 * theirs from a copy anyway.  Collective on the state's grid; the state is borrowed. */
void saver_tiles_init(struct saver_tiles *t, const struct train_state *st, int writers, int copy);
void saver_tiles_done(struct saver_tiles *t);

/* Copy our tiles and hash them: from here on the state may change, if there is a copy.  Local. */
void saver_tiles_snapshot(struct saver_tiles *t);

/* A group's tiles begin to move to its writer, from all of its ranks at once: t->moves.  Collective
 * on the group. */
void saver_tiles_hand_over(struct saver_tiles *t);

#endif
