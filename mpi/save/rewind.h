/* rewind.h -- back to the newest checkpoint in the middle of a run, and round what came after it.
 *
 *     samples   ...  | checkpoint | to be left out ... spike |  from here the run goes on
 *
 * The run is then, to the last bit, one that was told to leave these samples out (data.skip).
 */
#ifndef REWIND_H
#define REWIND_H

#include "mpi/state/train_state.h"
#include "src/store/run_folder.h"

/* Load the newest valid checkpoint; the samples from there up to where the state is now join those
 * that are left out.
 *
 * Collective on the state's grid; nothing may be in flight.
 *
 * left_out [out]  the samples that joined
 * returns  OK; what ckpt_search() returns, or ERR_DIVERGED (too many ranges): the state is not to
 *          be used any more; the same on all ranks */
int rewind_run(struct train_state *s, const struct run_folder *run, struct ranges *left_out);

#endif
