/* SPDX-License-Identifier: Apache-2.0 */
/* xent.h -- cross-entropy of rows of logits.
 *
 *     nll_n = log sum_v e^(l_nv - m_n) + (m_n - l_n,target),  m_n = max_v l_nv   [E47]
 *
 * N rows, V classes, row-major.  The sum is in double, in fixed lanes.  A target below 0 means "not
 * scored": nll 0 and gradient 0, whatever the logits are.  A NaN or an infinite maximum among the
 * logits of a scored row makes its nll NaN.  Threads share out rows, so their number changes no
 * bit.
 */
#ifndef XENT_H
#define XENT_H

#include "src/base/real.h"

/* nll (N) = [E47] in nats, from logits (N,V) and target (N) < V.  Local; threads inside.  NV
 * exponentials, NV reals moved. */
void xent_forward(double *nll, const real *logits, const int32_t *target, int N, int V);

/* logits (N,V) [in: logits, out: their gradient] = scale_n (softmax_nv - [v = target_n]), which is
 * scale_n d nll_n / d logits; and nll (N) =, the same bits as xent_forward().  Local; threads
 * inside.  NV exponentials, 2 NV reals moved. */
void xent_grad(real *logits, double *nll, const int32_t *target, const real *scale, int N,
               int V);

#endif
