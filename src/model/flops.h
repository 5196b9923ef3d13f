/* SPDX-License-Identifier: Apache-2.0 */
/* flops.h -- floating-point operations of a model in products, forward, of one token: a
 * multiplication and an addition are two. */
#ifndef FLOPS_H
#define FLOPS_H

#include "src/model/model.h"

/* Of block l, a mean over sequences of `context` tokens, of which each sees those before it. */
double flops_block(const struct model *m, int l, int context);

/* Of block l, for each token that a token sees, itself included: what grows with the place. */
double flops_pair(const struct model *m, int l);

/* Of all blocks: the sum of flops_block(). */
double flops_blocks(const struct model *m, int context);

/* Of the head. */
double flops_head(const struct model *m);

#endif
