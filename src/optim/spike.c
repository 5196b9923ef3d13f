/* SPDX-License-Identifier: Apache-2.0 */
#include "src/optim/spike.h"

#include <math.h>

enum { STEPS = 50, FIRST = 20, DEVIATIONS = 8 };

int spike_is(const struct spike *s, double loss, double limit)
{
    const double over = loss - s->mean;
    return s->n >= FIRST && over > limit && over > DEVIATIONS * s->dev;
}

void spike_learn(struct spike *s, double loss)
{
    const double share = 1.0 / (double)(s->n < STEPS ? s->n + 1 : STEPS);
    const double distance = s->n ? fabs(loss - s->mean) : 0;

    s->mean += share * (loss - s->mean);
    s->dev += share * (distance - s->dev);
    s->n++;
}
