/* train_state.h -- everything that determines the rest of a run.
 *
 *   tensors   NAME, adam.m/NAME, adam.v/NAME     for every parameter
 *   scalars   step, sample, tokens, skipped, bad_run, seed
 *
 * Two runs whose checkpoints have the same root go on in the same way, given
 * the same configuration and data.
 */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include <jansson.h>
#include <stdint.h>

#include "mpi/reduce.h"

#include "src/model/model.h"
#include "src/store/ckpt.h"

struct train_state {
    struct model *model;    /* owned                                            */
    const struct grid *grid;
    struct reducer *reducer;  /* who owns what; owned                           */
    real         *m, *v;    /* moments of AdamW of our own tiles, span after span
                             * (reducer_spans); owned                           */
    int64_t       step;     /* updates done, skipped ones included: the schedule's clock */
    int64_t       sample;   /* samples read: the next is number `sample` of the run */
    int64_t       tokens;   /* inputs read                                      */
    int64_t       skipped;  /* steps that met NaN or Inf                        */
    int64_t       bad_run;  /* of these, the last ones in a row                 */
    int64_t       seed;     /* of the order of samples                          */
};

/* Zero weights and moments, step 0.  returns OK or ERR_CONFIG (model_new) */
int train_state_new(struct train_state *s, const struct dims *d, int64_t seed,
                    const struct grid *g);

/* Initial weights of what we hold. */
void train_state_init(struct train_state *s, int64_t seed);
void train_state_done(struct train_state *s);

/* Save under `dir` (ckpt_save).  info is borrowed. */
int train_state_save(const struct train_state *s, const char *dir, json_t *info,
                     const struct ckpt_opts *opts, struct hash *root);

/* Become what a checkpoint holds.
 * returns OK; ERR_CONFIG if its tensors are not those of this model; ERR_DATA,
 * ERR_IO from reading */
int train_state_load(struct train_state *s, struct ckpt *c);

#endif
