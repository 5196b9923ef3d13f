/* SPDX-License-Identifier: Apache-2.0 */
/* inner_momentum.h -- an inner step for tests: gradient descent with momentum, whose coefficient is
 * the mean of a gate over the mini-batch's tokens.
 *
 *     P = G + mean(m) V,   S' = S - tok P,   V' = P
 */
#ifndef INNER_MOMENTUM_H
#define INNER_MOMENTUM_H

#include "src/kernels/inner_step.h"

extern const struct inner_step inner_momentum;

#endif
