/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_search.h -- the newest checkpoint that every rank can read. */
#ifndef CKPT_SEARCH_H
#define CKPT_SEARCH_H

#include "mpi/grid/comm.h"
#include "src/store/ckpt.h"

/* Find and read the newest valid checkpoint: ckpt_newest() for a job.
 *
 * The first rank chooses the candidates, newest first, and moves damaged ones into the folder
 * `quarantine`.  Every rank opens the candidate, checks that its MANIFEST is that of the first
 * rank, and calls use(c, arg).
 *
 * Collective on world.
 *
 * out      [out] the checkpoint, open, on every rank
 * use      local; reads what its rank needs
 * returns  OK if use() returned OK on every rank; ERR_MISSING, without a message, if there is no
 *          checkpoint; ERR_DATA or ERR_IO, reported, if all are damaged; any other status of use(),
 *          after which no older checkpoint is tried.  The same on all ranks */
int ckpt_search(struct ckpt **out, const struct axis *world, const char *dir,
                const char *quarantine, int (*use)(struct ckpt *c, void *arg), void *arg);

#endif
