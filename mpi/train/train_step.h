/* train_step.h -- one update: samples -> loss and gradients -> weights.
 *
 *   windows of context + 1 tokens, sample by sample in the run's order
 *     -> our sequences, our units of them -> the step plan of our rank
 *     -> gradient sums of replicas -> norm -> clip -> AdamW on our own tiles
 *     -> new weights to every holder
 *
 * Collective on the grid.  Everything that a step reports is the same on every rank, and
 * with exact reduction the same bits on every grid.
 *
 * A step that meets NaN or Inf, in a loss or in a gradient, is computed once more: what was a
 * fault of the moment leaves no trace in the result.  If it stays, the step touches neither
 * weights nor moments.  It is a step all the same: the schedule and the data
 * move on, so that the next one reads other samples.
 */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include <stdint.h>

#include "mpi/save/saver.h"
#include "mpi/state/train_state.h"
#include "mpi/step/step_exec.h"
#include "src/data/dataset.h"
#include "src/model/pass.h"
#include "src/optim/adamw.h"
#include "src/param/grad.h"

struct step_opts {
    struct pass_opts  pass;
    struct optim_opts optim;
    enum reduction    reduction;
    int64_t           batch;      /* sequences an update               */
    int               guard_every;  /* steps between looks at memory (guard.h); 0: never */
    struct saver     *saver;      /* settled before weights change; NULL: nobody saves */
};

#define STEP_SAMPLES 64

struct step_result {
    double  loss;                 /* mean over sequences, nats         */
    double  grad_norm;            /* before clipping                   */
    double  clip;                 /* what the gradient was multiplied with */
    double  lr;                   /* rate of this update               */
    int64_t targets;              /* scored                            */
    double  waited_s;             /* for a save that reads the state where it is */
    double *inner;                /* (3,L): at W0, before, after the inner step, means over
                                   * everything; borrowed from the stepper; NULL: not asked */
    /* Of a step that was not finite at first, and if it was bad, also when computed again. */
    int     again, bad;
    int     rank;                 /* the first that met it                               */
    int     damaged;              /* the state in memory is not to be trusted (guard.h)   */
    int     bad_loss;             /* the loss itself was not finite                      */
    char    what[PARAM_NAME + 64];     /* "gradient of model.norm.weight" ...          */
    int64_t samples[STEP_SAMPLES];     /* ids: those that are not finite, else the batch */
    int     n_samples;
};

struct stepper;

/* Allocates all that steps need.  Collective on the grid; everything is borrowed. */
struct stepper *stepper_new(const struct train_state *st, const struct step_opts *o,
                            const struct grid *g);
void stepper_free(struct stepper *s);

/* Samples of a data set: windows side by side, one token of overlap. */
int64_t step_samples(const struct dataset *d, int context);

/* One update of st from the next `batch` samples of d.
 *
 * Collective on the grid.
 *
 * inner    whether inner losses are wanted
 * trace    NULL, or where operations are noted
 * returns OK, also after a bad step; ERR_DATA, ERR_IO, the same on all ranks, if a sample
 * can't be read: st is as before then; ERR_IO if st is damaged */
int stepper_run(struct step_result *r, struct stepper *s, struct train_state *st,
                struct dataset *d, int inner, struct trace *trace);

/* The state was replaced between steps.  Local. */
void stepper_forget(struct stepper *s);

/* Bytes that this rank sent so far. */
struct step_bytes { int64_t carries, activations, sums; };
struct step_bytes stepper_bytes(const struct stepper *s);

#endif
