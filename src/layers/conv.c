/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/conv.h"

#include <string.h>

#include "src/kernels/conv1d.h"

int64_t conv_halo_reals(const struct dims *d, int D)
{
    return align_reals((int64_t)(d->conv_width - 1) * D);
}

int64_t conv_sum_reals(const struct dims *d, int D)
{
    return align_reals((int64_t)D * d->conv_width) + D;
}

/* Sequence b. */
static struct conv1d conv_of(const struct layer_call *c, const struct conv *v, int b)
{
    return (struct conv1d){
        .T = c->T, .C = v->D, .W = c->d->conv_width, .x = v->x + (int64_t)b * c->T * v->D,
        .halo = v->halo + b * conv_halo_reals(c->d, v->D), .w = call_w(c, v->kw),
        .b = call_w(c, v->kb),
    };
}

void conv_halo(const struct layer_call *c, const struct conv *v, real *carry, int64_t stride)
{
    const int64_t n = conv_halo_reals(c->d, v->D);

    for (int b = 0; b < c->B; b++) {
        memcpy(v->halo + b * n, carry + b * stride, (size_t)n * sizeof *carry);
        conv1d_halo(carry + b * stride, v->x + (int64_t)b * c->T * v->D, c->T, v->D,
                    c->d->conv_width);
    }
}

void conv_forward(const struct layer_call *c, const struct conv *v, real *y)
{
    for (int b = 0; b < c->B; b++) {
        const struct conv1d s = conv_of(c, v, b);
        conv1d_forward(y + (int64_t)b * c->T * v->D, &s);
    }
}

void conv_backward(const struct layer_call *c, const struct conv *v, real *dx, real *dhalo,
                   const real *dy, real *sum)
{
    const int64_t TD = (int64_t)c->T * v->D, DW = (int64_t)v->D * c->d->conv_width;
    real *db = sum + align_reals(DW);

    for (int b = 0; b < c->B; b++) {
        const struct conv1d s = conv_of(c, v, b);
        const struct conv1d_grad g = { .dx = dx + b * TD,
                                       .dhalo = dhalo + b * conv_halo_reals(c->d, v->D),
                                       .dw = sum, .db = db };
        memset(sum, 0, (size_t)conv_sum_reals(c->d, v->D) * sizeof *sum);
        conv1d_backward(&g, dy + b * TD, &s);
        grad_add(c->grad, call_at(c, v->kw), sum, DW);
        grad_add(c->grad, call_at(c, v->kb), db, v->D);
    }
}
