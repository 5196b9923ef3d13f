/* SPDX-License-Identifier: Apache-2.0 */
/* inner_plain.h -- the plain inner step: gradient descent, S_i = S - tok_i G_i.    [E72] */
#ifndef INNER_PLAIN_H
#define INNER_PLAIN_H

#include "src/kernels/inner_step.h"

extern const struct inner_step inner_plain;

#endif
