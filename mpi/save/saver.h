/* SPDX-License-Identifier: Apache-2.0 */
/* saver.h -- checkpoints of a grid, written while training continues.
 *
 *     step boundary   main thread of every rank                    a thread of its own
 *     -------------   -----------------------------------------    --------------------------
 *     save is due     folder; copy of own tiles, their leaves
 *     the next ones   tiles move to the writer of the group    ->  compress, write, fsync
 *     all written     leaves to rank 0: root, MANIFEST         ->  re-read a share
 *     all read        older ones go; "committed"
 *
 * Ranks are divided into contiguous groups, one per writer file.  The ranks of a group send their
 * tiles to its first rank, the writer, while training continues (pieces.h); the writer holds them
 * in memory until they are written.  With at least as many writers as ranks each rank writes its
 * own tiles and nothing is sent.  The ranks of a group re-read the file of the next group, so that
 * on several nodes a file is verified by another node than the one that wrote it.  On NFS a file
 * that one node made may become visible to others up to a minute later: they wait for it
 * (file_await()).
 *
 * Where there is no room for a copy of its tiles, a writer reads them from the state itself.  Then
 * they must not change before they are written: training calls saver_finish_reading() before an
 * update.  The checkpoint is the same.
 *
 * Threads in the background do not call MPI.  When anything fails on any rank, the save ends on
 * all: its folder is removed, older checkpoints stay as they were, and training continues.
 */
#ifndef SAVER_H
#define SAVER_H

#include "mpi/state/train_state.h"
#include "src/store/fence.h"

/* How a rank's tiles get into its file: by the main thread, before saver_advance() returns; in the
 * background from a copy, which takes their size in memory; in the background from the state. */
enum save_from { SAVE_AT_ONCE, SAVE_COPY, SAVE_IN_PLACE };

struct saver_opts {
    struct ckpt_opts ckpt;
    int              writers;      /* files, at most                              */
    enum save_from   from;         /* the same on all ranks                       */
    const struct fence *fence;     /* checked by the first rank before the commit; NULL: no check */
};

struct save_result {
    int64_t     step;
    struct hash root;              /* equal to that of a single process           */
    double      snapshot_s;        /* training waited: for the copy, or for reads in place */
    double      write_s;           /* the slowest rank's compressing and writing  */
    double      save_s;            /* from the beginning to the end               */
};

struct saver;

/* Make a saver and release it.  Collective on the state's grid; no save may be in flight at the
 * end.
 *
 * st, dir  borrowed until saver_free() */
struct saver *saver_new(const struct train_state *st, const char *dir,
                        const struct saver_opts *o);
void saver_free(struct saver *s);

/* Begin to save the state as it is now; no other save may be in flight.
 *
 * Collective on the state's grid.
 *
 * info     what the checkpoint records next to the tensors (ckpt.h)
 * idle     1: nothing is computed until the save is over, so all threads write and read, and none
 *          works in the background
 * returns  OK, and saver_busy() is 1; else the save failed; the same on all ranks */
int saver_begin(struct saver *s, json_t *info, int idle);

/* Is a save in flight?  Local; the same on all ranks. */
int saver_busy(const struct saver *s);

/* Would saver_advance() have to wait for tiles that are being sent, or for this rank's thread?
 *
 * Local; it also posts the next tiles, so call it once a step. */
int saver_waits(struct saver *s);

/* Do the next part of the save; waits for threads.
 *
 * Collective on the state's grid, while a save is in flight.
 *
 * returns  OK; else the save failed and is over; the same on all ranks */
int saver_advance(struct saver *s);

/* Wait until tiles that are read from the state itself are written; call it before the state
 * changes.
 *
 * Collective on the state's grid. */
void saver_finish_reading(struct saver *s);

/* The last save that succeeded.  Local. */
const struct save_result *saver_saved(const struct saver *s);

#endif
