/* SPDX-License-Identifier: Apache-2.0 */
/* conv.h -- a causal convolution (kernels/conv1d.h) of all sequences of a slice: its halo comes
 * from a carry, the next one is left there, and its gradients are one contribution of each
 * sequence.
 *
 * Arrays are (B,T,D).  A halo has conv_width - 1 rows of D channels.  All functions are local.
 */
#ifndef CONV_H
#define CONV_H

#include "src/layers/layer.h"

struct conv {
    int         kw, kb;   /* parameters of the call: filters (D,conv_width), bias (D)            */
    int         D;
    const real *x;        /* input                                                               */
    real       *halo;     /* (B, conv_halo_reals) the slice's own copy of the halo that came     */
};

/* Reals of one sequence's halo, aligned; and of what conv_backward() works in. */
int64_t conv_halo_reals(const struct dims *d, int D);
int64_t conv_sum_reals(const struct dims *d, int D);

/* v->halo is set to the halos that are at the beginning of each sequence's carry, `stride` apart;
 * then the carry has those that x leaves. */
void conv_halo(const struct layer_call *c, const struct conv *v, real *carry, int64_t stride);

void conv_forward(const struct layer_call *c, const struct conv *v, real *y);

/* dx and dhalo (B, conv_halo_reals) are set, without the gradient of the halo that the slice left;
 * the parameters' gradients are added.  sum (conv_sum_reals) is scratch. */
void conv_backward(const struct layer_call *c, const struct conv *v, real *dx, real *dhalo,
                   const real *dy, real *sum);

#endif
