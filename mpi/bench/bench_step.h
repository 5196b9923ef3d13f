/* SPDX-License-Identifier: Apache-2.0 */
/* bench_step.h -- the trainer's own steps on random tokens, for ttt bench train and grid. */
#ifndef BENCH_STEP_H
#define BENCH_STEP_H

#include "mpi/train/train_setup.h"
#include "src/conf/conf.h"

struct bench_step {
    struct train_setup setup;
    struct stepper    *stepper;
    int64_t            targets;   /* of our sequences, as stepper_step() takes them */
};

/* Make the grid, initial weights and a batch of random tokens.  There is no warm-up, so that all
 * steps move the weights; nothing is saved, and no seal of the state is made.
 *
 * Collective on world.
 *
 * b        [out]  zero before the call; bench_step_done()
 * returns  OK; ERR_CONFIG on all ranks: reported */
int bench_step_init(struct bench_step *b, const struct conf *c, const struct axis *world);
void bench_step_done(struct bench_step *b);

/* One update on the same tokens as before; the seconds of this rank are in r.
 *
 * Collective on the grid.
 *
 * trace    where operations are noted; NULL: nowhere */
void bench_step_run(struct bench_step *b, struct step_result *r, struct trace *trace);

/* Is the loss of a first step that of random weights, near ln V?  Local.
 *
 * returns  OK or ERR_DATA: reported */
int bench_step_verify(const struct bench_step *b, double loss);

#endif
