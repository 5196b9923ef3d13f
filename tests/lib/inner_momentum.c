/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/inner_momentum.h"

#include <stdio.h>

static int part(const struct inner_model *m, int i, int F, struct inner_part *p)
{
    struct inner_part of;
    if (!m->part(i, F, &of)) return 0;
    *p = (struct inner_part){ .rows = of.rows, .cols = of.cols, .start = INNER_ZERO };
    snprintf(p->name, sizeof p->name, "momentum_%.20s", of.name);
    return 1;
}

static void move(real *next, const real *state, const struct inner_move *by, real *work)
{
    const int64_t S = inner_model_reals(by->model, by->F);
    const real m = by->sums[0] / (real)by->tokens;
    (void)work;
    for (int64_t i = 0; i < S; i++) {
        const real P = by->G[i] + m * state[S + i];
        next[i] = state[i] - by->tok * P;
        next[S + i] = P;
    }
}

static void move_backward(real *dstate, struct inner_move_grad *d, const real *dnext,
                          const real *state, const struct inner_move *by, real *work)
{
    const int64_t S = inner_model_reals(by->model, by->F);
    const real m = by->sums[0] / (real)by->tokens;
    real dm = 0;
    (void)work;
    for (int64_t i = 0; i < S; i++) {
        const real P = by->G[i] + m * state[S + i], dP = dnext[S + i] - by->tok * dnext[i];
        *d->dtok -= dnext[i] * P;
        d->dG[i] += dP;
        dstate[i] += dnext[i];
        dstate[S + i] += m * dP;
        dm += dP * state[S + i];
    }
    d->dsums[0] += dm / (real)by->tokens;
}

const struct inner_step inner_momentum = { .name = "momentum", .rates = 1, .part = part,
                                           .move = move, .move_backward = move_backward };
