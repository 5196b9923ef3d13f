/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_plain.h"

#include <string.h>

#include "src/kernels/inner_vec.h"
#include "src/kernels/row_sum.h"

static void move(real *next, const real *state, const struct inner_move *by, real *work)
{
    const int64_t S = inner_model_reals(by->model, by->F);
    (void)work;
    memcpy(next, state, (size_t)S * sizeof *next);
    inner_step_by(next, by->G, by->tok, S);
}

/* From [E72]: dS = dS_i, dG_i = -tok_i dS_i, dtok_i = -<dS_i, G_i>. */
static void move_backward(real *dstate, struct inner_move_grad *d, const real *dnext,
                          const real *state, const struct inner_move *by, real *work)
{
    const int S = (int)inner_model_reals(by->model, by->F);
    real dot;
    (void)state;
    (void)work;
    ROW_SUM(dot, S, dnext[i] * by->G[i]);
    *d->dtok -= dot;
    inner_add(dstate, dnext, S);
    inner_step_by(d->dG, dnext, by->tok, S);
}

const struct inner_step inner_plain = { .name = "plain", .move = move,
                                        .move_backward = move_backward };
