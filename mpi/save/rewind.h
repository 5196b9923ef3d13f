/* SPDX-License-Identifier: Apache-2.0 */
/* rewind.h -- return to the newest checkpoint after a spike of the loss, and skip the samples that
 * came after it.
 *
 *     samples   ...  | checkpoint | skipped ... spike |  the run continues here
 *
 * From then on every bit is that of a run which was told to skip these samples (data.skip).
 */
#ifndef REWIND_H
#define REWIND_H

#include "mpi/state/train_state.h"
#include "src/store/run_folder.h"

/* Load the newest valid checkpoint, and add the samples between it and the present state to those
 * that are skipped.
 *
 * Collective on the state's grid; no save may be in flight.
 *
 * left_out [out] the samples that were added
 * returns  OK; what ckpt_search() returns; or ERR_DIVERGED, reported, if more ranges are skipped
 *          than a checkpoint can name.  After an error the state must not be used.  The same on all
 *          ranks */
int rewind_run(struct train_state *s, const struct run_folder *run, struct ranges *left_out);

#endif
