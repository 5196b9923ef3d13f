/* spike.h -- is the loss of this step out of line?
 *
 *     spike  =  loss - mean > limit  and  loss - mean > 8 dev
 *
 * mean and dev (the mean distance from it) are exponential means over some 50 steps; nothing is a
 * spike before 20 of them.
 */
#ifndef SPIKE_H
#define SPIKE_H

#include <stdint.h>

struct spike { int64_t n; double mean, dev; };

/* Local.  limit in nats, > 0. */
int spike_is(const struct spike *s, double loss, double limit);

/* This loss belongs to the run. */
void spike_learn(struct spike *s, double loss);

#endif
