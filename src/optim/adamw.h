/* SPDX-License-Identifier: Apache-2.0 */
/* adamw.h -- AdamW as the TTT paper uses it.
 *
 *     m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2
 *     w -= lr ( mhat / (sqrt(vhat) + eps) + wd w )                  [E30]
 *
 * mhat = m / (1 - b1^t), vhat = v / (1 - b2^t); t counts from 1.  Weight decay acts on every
 * parameter except those marked no_decay (param/param.h).  Source: optimizers.py of ttt-lm-jax
 * 6f529b1 (optax's adamw), with which tests/golden/ttt_linear_m/optimizer.safetensors was made.
 */
#ifndef ADAMW_H
#define ADAMW_H

#include <stdint.h>

#include "src/base/real.h"
#include "src/kernels/bf16.h"
#include "src/optim/optim_opts.h"

struct grad;

/* What a gradient of this norm is multiplied with: clip_norm / norm (no epsilon), or 1 if norm is
 * below clip_norm or there is no clipping.  Local. */
double clip_factor(const struct optim_opts *o, double norm);

/* What is the same for all elements of an update: numbers of [E30], rounded once. */
struct adam_rates {
    real b1, b2, c1, c2;  /* averages, and 1 - them                     */
    real m, v;            /* bias corrections 1 / (1 - b^n)             */
    real lr, eps, decay, factor;
};

/* The rates of update t of the schedule, which is the n-th (from 1) that moves the moments;
 * `factor` as in struct adamw.  Local. */
struct adam_rates adam_rates(const struct optim_opts *o, int64_t t, int64_t n, double factor);

/* One update of elements [begin, end) of the flat arrays. */
struct adamw {
    const struct optim_opts *opts;
    const struct grad       *grad;       /* whose mean over units is the gradient            */
    real                    *w;          /* weights, the whole flat array  [in,out]          */
    int64_t                  begin, end; /* 0 <= begin <= end <= the array's elements        */
    int64_t                  t;          /* number of the update, from 0                     */
    double                   factor;     /* the gradient is multiplied by it (clip_factor()) */
};

/* The weights and the moments m, v (end - begin) [in,out] make one step [E30].
 *
 * m and v are those of these elements alone, so that a process keeps only its share of them: a
 * sharded (ZeRO-1) optimizer.  Elementwise: the share and the number of threads change no bit.
 * Local; threads inside.  7 streams of reals: bound by memory. */
void adamw_update(const struct adamw *u, real *m, real *v);

/* The same with moments in bf16: half the memory.  They are widened, updated in full precision, and
 * written back with stochastic rounding, so that changes below a unit of bf16 are not lost.  The
 * random bits are a function of seed, t and the element's place in the flat array, on any grid.
 * begin is a multiple of 4, since four elements share one draw of 128 bits. */
void adamw_update_bf16(const struct adamw *u, bf16 *m, bf16 *v, uint64_t seed);

#endif
