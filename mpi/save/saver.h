/* saver.h -- checkpoints of a grid, written while training goes on.
 *
 *     step boundary   main thread of every rank                    a thread of its own
 *     -------------   -----------------------------------------    --------------------------
 *     save is due     folder; copy of own tiles, their leaves
 *     the next ones   tiles move to the writer of the group    ->  compress, write, fsync
 *     all written     leaves to rank 0: root, MANIFEST         ->  re-read a share
 *     all read        older ones go; "committed"
 *
 * Ranks are dealt out to writer files in contiguous groups.  Those of a group send their tiles to
 * its first one while training goes on (pieces.h), and it holds them in memory until they are
 * written; with at least as many writers as ranks, each writes its own and nothing is sent.  The
 * ranks of a group re-read the file of the next group, so that on several nodes another one than
 * the writer's reads it.  What one rank makes may be seen by others up to a minute later, as on
 * NFS: they wait for it (file_await).
 *
 * Where there is no room for a copy of its tiles, a writer reads them where they are; then nobody
 * may change them before they are written: saver_settle(), which training calls in front of an
 * update.  The checkpoint is the same.
 *
 * Threads in the background call no MPI.  When anything fails on any rank the save is over on all:
 * its folder is removed, older checkpoints are as they were, and training goes on.
 */
#ifndef SAVER_H
#define SAVER_H

#include "mpi/state/train_state.h"
#include "src/store/fence.h"

/* How a rank's tiles get into its file: each step done when it is called; in the background from
 * a copy, which takes their size in memory; in the background from where they are. */
enum save_from { SAVE_AT_ONCE, SAVE_COPY, SAVE_IN_PLACE };

struct saver_opts {
    struct ckpt_opts ckpt;
    int              writers;      /* files, at most                              */
    enum save_from   from;         /* the same on all ranks                       */
    const struct fence *fence;     /* the first rank's right to commit; NULL: nobody asks */
};

struct save_result {
    int64_t     step;
    struct hash root;              /* equal to that of a single process           */
    double      snapshot_s;        /* training stood still: for the copy, or in settle */
    double      write_s;           /* the slowest rank's compressing and writing  */
    double      save_s;            /* from the beginning to the end               */
};

struct saver;

/* Collective on the state's grid; everything is borrowed. */
struct saver *saver_new(const struct train_state *st, const char *dir,
                        const struct saver_opts *o);
void saver_free(struct saver *s);  /* nothing may be in flight */

/* Begin to save the state as it is now; nothing may be in flight.  Collective.
 *
 * idle     nothing is computed until it is over: all threads write and read, and none in the
 *          background
 * returns OK, and saver_busy() is 1; else the save failed, the same on all ranks */
int saver_begin(struct saver *s, json_t *info, int idle);

/* Is a save in flight?  The same on all ranks. */
int saver_busy(const struct saver *s);

/* Would saver_advance() have to wait for tiles on their way, or for our thread?  Local; tiles move
 * on, so ask once a step. */
int saver_waits(struct saver *s);

/* Do the next collective part; waits for threads.  Collective, while busy.
 * returns OK; else the save failed, the same on all ranks, and it is over */
int saver_advance(struct saver *s);

/* The state is about to change: waits until what is read in place was written.  Collective. */
void saver_settle(struct saver *s);

/* What the last save that ended well was. */
const struct save_result *saver_saved(const struct saver *s);

#endif
