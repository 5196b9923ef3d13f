/* SPDX-License-Identifier: Apache-2.0 */
/* train_setup.h -- what steps work on, as a configuration describes it: the options of a step, the
 * grid, and the state.  The trainer and the benchmarks of steps begin here. */
#ifndef TRAIN_SETUP_H
#define TRAIN_SETUP_H

#include "mpi/grid/grid.h"
#include "mpi/state/train_state.h"
#include "mpi/train/train_step.h"
#include "src/conf/conf.h"

struct train_setup {
    struct dims        dims;
    struct step_opts   step;
    struct grid        grid;    /* grid.world.size is 0: not made yet */
    struct train_state state;
};

/* Take dims and options from the configuration and make the grid that run.grid names; "auto" is one
 * for all processes of world.
 *
 * Collective on world.
 *
 * s        [out]  zero before the call; train_setup_done()
 * bos      the token that is not scored with data.mask_bos; -1: none
 * returns  OK; ERR_CONFIG on all ranks if grid, processes and work do not fit: reported */
int train_setup_grid(struct train_setup *s, const struct conf *c, int bos,
                     const struct axis *world);

/* Make a state of zero weights and moments, with the optimizer and the precision of the options.
 *
 * Collective on the grid.
 *
 * returns  OK; ERR_CONFIG on all ranks as model_new() reports it */
int train_setup_state(struct train_setup *s, int64_t seed);

/* Release state and grid.  Collective on the grid. */
void train_setup_done(struct train_setup *s);

#endif
