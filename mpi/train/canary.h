/* canary.h -- does this machine still compute what the one before it did?
 *
 *     save     loss of the model on a probe  ->  stored beside the state
 *     resume   loss of the loaded model on the same probe  =  that one, bit for bit
 *
 * The probe is one sequence of tokens from a counter generator, with as many units as a training
 * sequence has, but short ones: it costs a small part of a step.  Its loss is the same bits on
 * every grid.  Another library, compiler or processor shows as a difference of rounding, which is
 * said; a larger one is a mistake somewhere, and the run is refused.
 */
#ifndef CANARY_H
#define CANARY_H

#include <jansson.h>

#include "mpi/grid/grid.h"
#include "src/model/model.h"
#include "src/model/pass.h"
#include "src/store/ckpt.h"

#define CANARY_LIMIT 1e-5  /* of a relative difference: beyond it nothing goes on */

/* What a checkpoint of this model says of the probe: a new reference.  o is that of training.
 * Collective on the grid. */
json_t *canary_record(const struct grid *g, const struct model *m, const struct pass_opts *o);

/* Compare with what a checkpoint says, under "probe" of its info; one that says nothing, or
 * has another probe, passes.
 *
 * Collective on the grid.
 *
 * allow    a difference beyond the limit is only said
 * returns  OK, or ERR_CONFIG on all ranks */
int canary_verify(const struct grid *g, const struct model *m, const struct pass_opts *o,
                  const struct ckpt *c, int allow);

#endif
