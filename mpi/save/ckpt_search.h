/* ckpt_search.h -- the newest checkpoint that every rank can read. */
#ifndef CKPT_SEARCH_H
#define CKPT_SEARCH_H

#include "mpi/grid/comm.h"
#include "src/store/ckpt.h"

/* ckpt_newest() for a job.  The first rank decides what is tried and moves away what is damaged;
 * every rank opens a candidate, has the first rank's MANIFEST, and calls use(c, arg) with it.
 *
 * Collective on world; use() is local and reads what its rank needs.
 *
 * out      [out] the checkpoint, open, on every rank
 * returns  OK if use() was OK everywhere; ERR_MISSING, silent, if there is no checkpoint;
 *          ERR_DATA, ERR_IO if none is whole, said; else what use() returned: no older one is
 *          tried then.  The same on all ranks */
int ckpt_search(struct ckpt **out, const struct axis *world, const char *dir,
                const char *quarantine, int (*use)(struct ckpt *c, void *arg), void *arg);

#endif
