/* train_step.h -- one update: samples -> loss and gradients -> weights.
 *
 *   windows of context + 1 tokens, sample by sample in the run's order
 *     -> micro-batches -> gradient sum -> norm -> clip -> AdamW
 *
 * A step that meets NaN or Inf, in a loss or in a gradient, touches neither
 * weights nor moments.  It is a step all the same: the schedule and the data
 * move on, so that the next one reads other samples.
 */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include <stdint.h>

#include "mpi/train_state.h"
#include "src/data/dataset.h"
#include "src/model/pass.h"
#include "src/optim/adamw.h"
#include "src/param/grad.h"

struct step_opts {
    struct pass_opts  pass;
    struct optim_opts optim;
    enum reduction    reduction;
    int64_t           batch;      /* sequences an update               */
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
    /* Of a bad step only. */
    int     bad;
    char    what[PARAM_NAME + 64];     /* "gradient of model.norm.weight" ...          */
    int64_t samples[STEP_SAMPLES];     /* ids: those that are not finite, else the batch */
    int     n_samples;
};

struct stepper;

/* Allocates all that steps need.  The state's model is borrowed. */
struct stepper *stepper_new(const struct train_state *st, const struct step_opts *o);
void stepper_free(struct stepper *s);

/* Samples of a data set: windows side by side, one token of overlap. */
int64_t step_samples(const struct dataset *d, int context);

/* One update of st from the next `batch` samples of d.
 * inner  whether inner losses are wanted
 * returns OK, also after a bad step; ERR_DATA, ERR_IO if a sample can't be
 * read: st is as before then */
int stepper_run(struct step_result *r, struct stepper *s, struct train_state *st,
                struct dataset *d, int inner);

#endif
