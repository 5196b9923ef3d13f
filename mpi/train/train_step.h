/* SPDX-License-Identifier: Apache-2.0 */
/* train_step.h -- one update: samples -> loss and gradients -> weights.
 *
 *   windows of context + 1 tokens, sample by sample in the run's order
 *     -> our sequences, our units of them -> the step plan of our rank
 *     -> gradient sums of replicas -> norm -> clip -> the optimizer on our own tiles
 *     -> new weights to every holder
 *
 * Everything that a step reports is the same on every rank, and with exact reduction the same bits
 * on every grid.
 *
 * A step that meets NaN or Inf, in a loss or in a gradient, is computed once more: what was a
 * fault of the moment leaves no trace in the result.  If it stays, the step touches neither
 * weights nor moments.  It is a step all the same: the schedule and the data
 * move on, so that the next one reads other samples.
 *
 * The benchmarks drive the same stepper, over tokens that they write into its batch themselves.
 */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include <stdint.h>

#include "mpi/save/saver.h"
#include "mpi/state/train_state.h"
#include "mpi/step/step_exec.h"
#include "src/data/dataset.h"
#include "src/model/pass.h"
#include "src/optim/optim_opts.h"
#include "src/param/grad.h"

struct step_opts {
    struct pass_opts  pass;
    struct optim_opts optim;
    enum reduction    reduction;
    int64_t           batch;      /* sequences of an update            */
    int               guard_every;  /* steps between looks at memory (guard.h); 0: never */
    struct saver     *saver;      /* waited for before weights change; NULL: no saves  */
};

#define STEP_SAMPLES 64

struct step_result {
    double  loss;                 /* mean over sequences, nats         */
    double  grad_norm;            /* before clipping                   */
    double  clip;                 /* what the gradient was multiplied with */
    double  lr;                   /* rate of this update               */
    int64_t targets;              /* scored                            */
    double *inner;                /* (3,L): at W0, before, after the inner step, means over
                                   * everything; borrowed from the stepper; NULL: not asked */
    /* Seconds of this rank. */
    double  pass_s;               /* forward and backward              */
    double  sums_s;               /* waited for sums of gradients      */
    double  update_s;             /* optimizer, and weights of others  */
    double  weights_s;            /* of it, weights of others          */
    double  waited_s;             /* for a save that reads the state where it is */
    /* Of a step that was not finite at first, and if it was bad, also when computed again. */
    int     again, bad;
    int     rank;                 /* the first that met it                               */
    int     damaged;              /* the state in memory is not to be trusted (guard.h)   */
    int     bad_loss;             /* the loss itself was not finite                      */
    char    what[PARAM_NAME + 64];     /* "gradient of model.norm.weight" ...          */
    int64_t samples[STEP_SAMPLES];     /* ids: those that are not finite, else the batch */
    int     n_samples;
};

/* This rank's part of the batch: its units of its sequences. */
struct step_batch {
    int32_t *windows;             /* (n, stride) tokens of our units, and one more       */
    int64_t *valid;               /* (n) scored targets of each whole sequence           */
    int64_t  stride;
    int      n;                   /* our sequences                                       */
    int64_t  first;               /* number of the first one in the batch                */
    int64_t  position;            /* of our first token in its sequence                  */
};

/* What a step is asked for besides the update. */
struct step_asks {
    int           inner;          /* 0/1 inner losses                                    */
    struct trace *trace;          /* where operations are noted; NULL: nowhere           */
};

struct stepper;

/* Allocate all that steps need.
 *
 * Collective on the grid; o must agree.
 *
 * st, g    borrowed: they must outlive the stepper
 * returns  the caller's; stepper_free() */
struct stepper *stepper_new(const struct train_state *st, const struct step_opts *o,
                            const struct grid *g);

/* Collective on the grid; NULL is allowed. */
void stepper_free(struct stepper *s);

/* The samples of a data set: windows next to each other, one token of overlap.  Local. */
int64_t step_samples(const struct dataset *d, int context);

/* Make one update of st from the next `batch` samples of d.
 *
 * Collective on the grid.
 *
 * r        [out]
 * st       [in,out]  the state that the stepper was made for
 * returns  OK, also after a bad step; ERR_DATA, ERR_IO, the same on all ranks, if a sample can't be
 *          read: st is as before then; ERR_IO if st is damaged */
int stepper_run(struct step_result *r, struct stepper *s, struct train_state *st,
                struct dataset *d, const struct step_asks *asks);

/* The same with the batch that is there: stepper_batch(), or that of the step before.
 *
 * Collective on the grid.
 *
 * targets  scored targets of the sequences of this rank's stage, 0 except on the last stage */
int stepper_step(struct step_result *r, struct stepper *s, struct train_state *st,
                 int64_t targets, const struct step_asks *asks);

/* The batch, for those who write tokens into it themselves.  Local; borrowed. */
const struct step_batch *stepper_batch(struct stepper *s);

/* The mean loss of the batch, forward only, nats; NaN if it is not finite.  Collective on the
 * grid. */
double stepper_loss(struct stepper *s);

/* Drop the checksums of the state (guard.h) after it was replaced between steps.  Local. */
void stepper_reset(struct stepper *s);

/* Bytes that this rank sent since the stepper was made, and what it waited for.  Local. */
struct step_bytes { int64_t carries, heads, activations, sums; };
struct step_bytes stepper_bytes(const struct stepper *s);
struct exec_waits stepper_waits(const struct stepper *s);

#endif
