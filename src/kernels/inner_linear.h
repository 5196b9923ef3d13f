/* SPDX-License-Identifier: Apache-2.0 */
/* inner_linear.h -- the inner model f(x) = x W + b: what TTT-Linear trains.
 *
 *     Z = X W + b,  O = Q + LN(Q W + b)                                [E10], [E14]
 *     g = d loss / dZ,  dloss/dW = X' g,  dloss/db = 1' g              [E11]
 *
 * The state of a head is W (F,F), then b (F).  Its mini-batches in the dual form: ttt_linear.h.
 */
#ifndef INNER_LINEAR_H
#define INNER_LINEAR_H

#include "src/kernels/inner_model.h"

extern const struct inner_model inner_linear;

#endif
