/* SPDX-License-Identifier: Apache-2.0 */
/* mamba.h -- the Mamba sequence layer: a convolution, then a selective state space model.
 *
 *   (x, z) = Wi h                        D = expand C channels each
 *   u = silu(conv(x))
 *   (dt, B, C) = Wx u                    dt_rank, state, state numbers a token
 *   y = Wo scan(u, Wd dt, B, C, z)       kernels/scan.h                          [E53]
 *
 * Source: Gu and Dao, arXiv 2312.00752; state-spaces/mamba e9594ce, mamba_simple.py.  A block of
 * such a model has no feed-forward.
 *
 * The carry of a sequence, constant in size:
 *
 *   | last conv_width - 1 rows of x | state (state, D) |
 *
 * The scan goes token by token, so a sequence may be cut anywhere.
 */
#ifndef MAMBA_H
#define MAMBA_H

#include "src/layers/layer.h"

#define MAMBA_MAX_STATE 256
#define MAMBA_MAX_EXPAND 16

extern const struct layer layer_mamba;

#endif
