/* SPDX-License-Identifier: Apache-2.0 */
/* train_state.h -- everything that determines the rest of a run.
 *
 *   tensors   weights, moments, factors           src/store/state_tensors.h
 *   scalars   step, sample, tokens, skipped, bad_run, seed; skip, spike, soap_updates
 *
 * Two runs whose checkpoints have the same root continue with the same bits,
 * given the same configuration and data.
 */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include <jansson.h>
#include <stdint.h>

#include "mpi/soap/grid_soap.h"
#include "mpi/step/reduce.h"
#include "src/base/ranges.h"
#include "src/model/model.h"
#include "src/optim/spike.h"
#include "src/store/ckpt_parts.h"

struct train_state {
    struct model *model;    /* owned                                            */
    const struct grid *grid;
    struct reducer *reducer;  /* who owns what; owned                           */
    void         *m, *v;    /* moments of AdamW of our own tiles, span after span
                             * (train_state_adam), reals or bf16; owned         */
    int           bf16;     /* they are bf16                                    */
    struct soap  *soap;     /* owned; NULL: AdamW updates everything            */
    int64_t       step;     /* updates done, skipped ones included: the schedule's clock */
    int64_t       sample;   /* samples read: the next is number `sample` of the run */
    int64_t       tokens;   /* inputs read                                      */
    int64_t       skipped;  /* steps that met NaN or Inf                        */
    int64_t       bad_run;  /* of these, the last ones in a row                 */
    int64_t       seed;     /* of the order of samples                          */
    struct ranges skip;     /* samples by number that are left out              */
    struct spike  spike;    /* statistics of recent losses; n is 0 if it is off   */
};

/* Zero weights and moments, step 0.  Local; d and seed must agree.
 * returns  OK or ERR_CONFIG (model_new) */
int train_state_new(struct train_state *s, const struct dims *d, int64_t seed,
                    const struct grid *g);

/* Call it after weights that this rank holds were replaced: model_weights_changed().  Local. */
void train_state_changed(struct train_state *s);

/* Matrices are updated by SOAP if o says so: before anything else.  Collective. */
void train_state_optim(struct train_state *s, const struct optim_opts *o);

/* This rank's spans that AdamW updates.  Local. */
int train_state_adam(const struct train_state *s, const struct span **spans);

/* The update that o asks for (train_state_optim()), of our own tiles: g has their sums, `factor` is
 * what these are scaled with, step the schedule's clock.  Others' weights come by reducer_gather().
 * Collective where SOAP is used. */
void train_state_update(struct train_state *s, const struct optim_opts *o, const struct grad *g,
                        double factor);

/* Initial weights of the parameters that this rank holds.  Local; seed must agree. */
void train_state_init(struct train_state *s, int64_t seed);

/* Free it.  Collective on the grid where SOAP is used, else Local. */
void train_state_done(struct train_state *s);

/* All tensors by name, dtype and shape, without data; a counted block.  Local. */
struct tensor *train_state_tensors(const struct train_state *s, int *count);

/* This rank's tiles: of the moments that it owns, and of the weights that it owns (held 0), or
 * holds (1).  place.tensor is the number in train_state_tensors(), place.raw points into the state;
 * a counted block.  Local. */
struct place *train_state_places(const struct train_state *s, int held, int64_t *count);

/* These samples (ranges_parse()) are left out, too.  Local; must agree. */
void train_state_leave_out(struct train_state *s, const char *samples);

/* The scalars of a checkpoint as a JSON object; a new reference.  Local. */
json_t *train_state_scalars(const struct train_state *s);

/* Become what a checkpoint holds: counters, and the tiles that are this rank's, proved.  Local;
 * all ranks together read everything.
 * returns OK; ERR_CONFIG if its tensors are not those of this model; ERR_DATA, ERR_IO from reading;
 * ERR_DATA if no run could have its counters */
int train_state_load(struct train_state *s, struct ckpt *c);

#endif
