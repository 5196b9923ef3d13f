/* SPDX-License-Identifier: Apache-2.0 */
/* saver_tiles.h -- the tiles of a save: which are this rank's, where they are copied, and how they
 * get to the rank that writes them.
 *
 * Ranks are divided into contiguous groups, one per writer file; the first rank of a group writes.
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

/* Decide which tiles go where, the same for all saves, and free that.
 *
 * Collective on the state's grid; init() borrows the state.
 *
 * copy     1: a writer also copies its own tiles; other ranks always send from a copy */
void saver_tiles_init(struct saver_tiles *t, const struct train_state *st, int writers, int copy);
void saver_tiles_done(struct saver_tiles *t);

/* Hash this rank's tiles and copy them where a copy is planned; the state may change afterwards
 * only if there is a copy.  Local. */
void saver_tiles_snapshot(struct saver_tiles *t);

/* Begin to send the tiles of a group to its writer, from all of its ranks at once: t->moves.
 *
 * Collective on the group, non-blocking. */
void saver_tiles_send(struct saver_tiles *t);

#endif
