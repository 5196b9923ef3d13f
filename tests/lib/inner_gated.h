/* SPDX-License-Identifier: Apache-2.0 */
/* inner_gated.h -- an inner model for tests: a gated two-layer network, six parts, and a rate for
 * each of its three weights.  It has no fused body, so what trains it is the composition.
 *
 *     a = x W1 + b1,  u = x W3 + b3,  p = silu(a) * u,  f(x) = x + LN(p W2 + b2)
 *
 * W1, W3 (F,2F), W2 (2F,F); in the state W1, b1, W2, b2, W3, b3.
 */
#ifndef INNER_GATED_H
#define INNER_GATED_H

#include "src/kernels/inner_model.h"

extern const struct inner_model inner_gated;

#endif
