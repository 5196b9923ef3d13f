/* SPDX-License-Identifier: Apache-2.0 */
/* block_own.h -- the inside of a block, for block.c and block_run.c. */
#ifndef BLOCK_OWN_H
#define BLOCK_OWN_H

#include "src/layers/block.h"

/* Arrays of a block around its layer: the convolution in front, the layer's input h, the
 * feed-forward; then gradients and scratch.  N and S, DA and DG are operands (linear.h). */
enum { OWN_XN, OWN_R1, OWN_X1, OWN_HALO, OWN_H, OWN_R2, OWN_X2, OWN_R3, OWN_N, OWN_A, OWN_G, OWN_S,
       OWN_DW, OWN_DA, OWN_DG, OWN_DS, OWN_DN, OWN_DHALO };

/* Reals of one sequence's halo of the convolution in front. */
static inline int64_t own_halo_reals(const struct dims *d)
{
    return d->pre_conv ? align_reals((int64_t)(d->conv_width - 1) * d->C) : 0;
}

/* The carries of B sequences are two arrays, one after the other: all halos of the convolution in
 * front, then (B, carry_reals) of the layer. */
static inline real *layer_carry(const struct layer_call *c, real *carry)
{
    return carry + c->B * own_halo_reals(c->d);
}

#endif
