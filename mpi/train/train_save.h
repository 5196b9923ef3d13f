/* SPDX-License-Identifier: Apache-2.0 */
/* train_save.h -- when a run saves, and what it reports of it.
 *
 * A save proceeds in the background of the next steps (saver.h).  One that is due by time while
 * another is in flight is put off; one that is due by steps waits for the other, so that
 * checkpoint.every_steps and keep_every name exact steps.
 */
#ifndef TRAIN_SAVE_H
#define TRAIN_SAVE_H

#include "mpi/train/loop_state.h"

/* Is a save due at this step by the configuration, and why: "steps", "time", or NULL.  The clock is
 * the first rank's.  Collective on the grid. */
const char *train_save_due(const struct train_loop *l);

/* Begin a save; without a background, finish it.  A failure is reported, and training continues.
 *
 * Collective on the grid.
 *
 * reason   for metrics.jsonl
 * idle     0/1 nothing else will be computed meanwhile, as saver_begin() takes it */
void train_save_begin(struct train_loop *l, const char *reason, int idle);

/* Between steps: the next part of a save.  waits: 0/1 the threads of some rank are not done with
 * the part before, so nothing is done.  Collective on the grid. */
void train_save_advance(struct train_loop *l, int waits);

/* Finish the save in flight, if there is one.  Collective on the grid.
 *
 * returns  OK, or the failure, reported */
int train_save_finish(struct train_loop *l);

/* Save the state at the end of the process, with a second try.
 *
 * Collective on the grid.
 *
 * returns  OK; ERR_OWNER if the run is another's now; ERR_IO, reported, on all ranks */
int train_save_last(struct train_loop *l, const char *reason);

/* For messages: what a restart would resume from.  Local; valid until the next call. */
const char *train_save_newest(const struct train_loop *l);

#endif
