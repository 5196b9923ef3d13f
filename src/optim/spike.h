/* SPDX-License-Identifier: Apache-2.0 */
/* spike.h -- is the loss of this step far above the losses before it?
 *
 *     spike  =  loss - mean > limit  and  loss - mean > 8 dev
 *
 * mean, and dev (the mean distance from it), are exponential averages over some 50 steps.  Nothing
 * is a spike before 20 steps.
 */
#ifndef SPIKE_H
#define SPIKE_H

#include <stdint.h>

struct spike { int64_t n; double mean, dev; };

/* Is a loss (nats) a spike?  limit in nats, > 0.  Local. */
int spike_is(const struct spike *s, double loss, double limit);

/* Take a loss that belongs to the run into the averages.  Local. */
void spike_learn(struct spike *s, double loss);

#endif
