/* SPDX-License-Identifier: Apache-2.0 */
#include "src/optim/adamw.h"

#include <math.h>

#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/kernels/vecmath.h"
#include "src/optim/sched.h"
#include "src/param/grad.h"

#define BLOCK 4096  /* elements whose gradient a thread holds at once */

double clip_factor(const struct optim_opts *o, double norm)
{
    return o->clip_norm == 0 || norm < o->clip_norm ? 1 : o->clip_norm / norm;
}

CLONES
static void update(struct adam_rates a, real decay, const real *restrict g, real *restrict w,
                   real *restrict m, real *restrict v, int n)
{
    for (int i = 0; i < n; i++) {
        const real g_i = a.factor * g[i];
        m[i] = vfma(a.b1, m[i], a.c1 * g_i);                                     /* [E30] */
        v[i] = vfma(a.b2, v[i], a.c2 * g_i * g_i);
        const real step = m[i] * a.m / (vsqrt(v[i] * a.v) + a.eps);
        w[i] = vfma(-a.lr, vfma(decay, w[i], step), w[i]);
    }
}

/* decay [out]: that of element `offset`.  returns how many of the n elements from there on have it,
 * at least those of one parameter */
static int one_decay(real *decay, const struct optim_opts *o, const struct param_table *t,
                     int64_t offset, int n)
{
    int k = param_at(t, offset);
    const int no_decay = t->p[k].no_decay;

    *decay = no_decay ? 0 : (real)o->weight_decay;
    while (++k < t->count && t->p[k].offset < offset + n)
        if (t->p[k].no_decay != no_decay) return (int)(t->p[k].offset - offset);
    return n;
}

struct adam_rates adam_rates(const struct optim_opts *o, int64_t t, int64_t n, double factor)
{
    return (struct adam_rates){
        .b1 = (real)o->beta1, .b2 = (real)o->beta2,
        .c1 = (real)(1 - o->beta1), .c2 = (real)(1 - o->beta2),
        .m = (real)(1 / (1 - pow(o->beta1, (double)n))),
        .v = (real)(1 / (1 - pow(o->beta2, (double)n))),
        .lr = (real)sched_lr(o, t), .eps = (real)o->eps, .decay = (real)o->weight_decay,
        .factor = (real)factor,
    };
}

/* Elements [offset, offset + n) of update u, n <= BLOCK, which may have several decays. */
static void update_block(const struct adamw *u, const struct adam_rates *a, real *m, real *v,
                         int64_t offset, int n)
{
    _Alignas(ALIGN_BYTES) real mean[BLOCK];
    real *w = u->w + offset;

    grad_read(u->grad, mean, offset, n);
    for (int at = 0, same; at < n; at += same) {
        real decay;
        same = one_decay(&decay, u->opts, u->grad->table, offset + at, n - at);
        update(*a, decay, mean + at, w + at, m + at, v + at, same);
    }
}

static int block_at(const struct adamw *u, int64_t i)
{
    return u->end - i < BLOCK ? (int)(u->end - i) : BLOCK;
}

static struct adam_rates rates_of(const struct adamw *u)
{
    check(u->t >= 0 && u->begin >= 0 && u->end <= u->grad->table->total);
    return adam_rates(u->opts, u->t, u->t + 1, u->factor);
}

void adamw_update(const struct adamw *u, real *m, real *v)
{
    const struct adam_rates a = rates_of(u);
    #pragma omp parallel for schedule(static)
    for (int64_t i = u->begin; i < u->end; i += BLOCK)
        update_block(u, &a, m + (i - u->begin), v + (i - u->begin), i, block_at(u, i));
}

/* --- moments in bf16 -------------------------------------------------------------- */

CLONES
static void widen(real *restrict to, const bf16 *restrict from, int n)
{
    for (int i = 0; i < n; i++) to[i] = (real)bf16_value(from[i]);
}

/* The low or the high half of 32 random bits decides. */
CLONES
static void round_stochastically(bf16 *restrict to, const real *restrict from,
                            const uint32_t *restrict bits, int shift, int n)
{
    for (int i = 0; i < n; i++) to[i] = (bf16)bf16_stochastic(from[i], bits[i] >> shift & 0xffff);
}

void adamw_update_bf16(const struct adamw *u, bf16 *m, bf16 *v, uint64_t seed)
{
    const struct adam_rates a = rates_of(u);
    const uint64_t key = rng_u64(rng_key(seed, "moments"), (uint64_t)u->t);

    check(u->begin % 4 == 0);
    #pragma omp parallel for schedule(static)
    for (int64_t i = u->begin; i < u->end; i += BLOCK) {
        _Alignas(ALIGN_BYTES) real wide[2][BLOCK];
        _Alignas(ALIGN_BYTES) uint32_t bits[BLOCK];
        const int n = block_at(u, i);
        bf16 *m_i = m + (i - u->begin), *v_i = v + (i - u->begin);
        widen(wide[0], m_i, n);
        widen(wide[1], v_i, n);
        update_block(u, &a, wide[0], wide[1], i, n);
        rng_fill(bits, (n + 3) / 4, key, (uint64_t)i / 4);
        round_stochastically(m_i, wide[0], bits, 0, n);
        round_stochastically(v_i, wide[1], bits, 16, n);
    }
}
