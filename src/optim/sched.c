/* SPDX-License-Identifier: Apache-2.0 */
#include "src/optim/sched.h"

#include <math.h>

#include "src/kernels/bf16.h"

double sched_lr(const struct optim_opts *o, int64_t t)
{
    if (t < o->warmup_steps) return o->lr * (double)t / (double)o->warmup_steps;
    if (t >= o->decay_steps) return o->min_lr;
    const double span = (double)(o->decay_steps - o->warmup_steps);
    const double angle = 3.14159265358979323846 * (double)(t - o->warmup_steps) / span;
    return o->min_lr + (o->lr - o->min_lr) * 0.5 * (1 + cos(angle));
}

double sched_inner(const struct optim_opts *o, int64_t t)
{
    if (t >= o->warmup_steps) return 1;
    const double x = o->inner_start + (1 - o->inner_start) * (double)t / (double)o->warmup_steps;
    return bf16_value((bf16)bf16_bits((real)x));
}
