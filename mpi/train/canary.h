/* SPDX-License-Identifier: Apache-2.0 */
/* canary.h -- check at a resume that this machine and build compute what the previous ones did.
 *
 *     save     loss of the model on a reference sequence  ->  stored next to the state
 *     resume   loss of the loaded model on the same sequence  =  that one, bit for bit
 *
 * The reference sequence has tokens from a counter-based generator and as many units as a training
 * sequence, but short ones: it costs a small part of a step.  Its loss has the same bits on every
 * grid.  Another library, compiler or processor can give a difference of rounding, which is a
 * warning; a larger difference means that something is wrong, and the run is refused.
 */
#ifndef CANARY_H
#define CANARY_H

#include <jansson.h>

#include "mpi/grid/grid.h"
#include "src/model/model.h"
#include "src/model/pass.h"
#include "src/store/ckpt.h"

#define CANARY_LIMIT 1e-5  /* largest relative difference with which a run may resume */

/* Compute the loss of m on the reference sequence, for the key "probe" of a checkpoint's info.
 *
 * Collective on the grid.
 *
 * o        the options of training
 * returns  a JSON object, the caller's reference */
json_t *canary_record(const struct grid *g, const struct model *m, const struct pass_opts *o);

/* Compare with the loss that a checkpoint holds under "probe" of its info.  A checkpoint without
 * it, or with another reference sequence, passes.
 *
 * Collective on the grid.
 *
 * allow    1: a difference beyond the limit is only a warning
 * returns  OK, or ERR_CONFIG on all ranks, reported */
int canary_verify(const struct grid *g, const struct model *m, const struct pass_opts *o,
                  const struct ckpt *c, int allow);

#endif
