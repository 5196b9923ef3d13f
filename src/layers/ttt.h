/* SPDX-License-Identifier: Apache-2.0 */
/* ttt.h -- the TTT sequence layer, for any inner model and inner step (kernels/inner.h).
 *
 *   share_qk:  u = Wq h,  Q = conv_q(u), K = conv_k(u)     else Q = Wq h, K = Wk h
 *   V = Wv h;  lr = inner_lr sigmoid(w_h . h + c_h) / F per head and rate
 *   Q, K <- RoPE at position t mod K-mini-batch, pairs (2i, 2i+1)
 *   O = inner loop over mini-batches of each head
 *   y = Wo ( LN(O) [* gelu_tanh(Wg h) if gate] )                    [E7]
 *
 * Source: ttt-lm-pytorch cd831db ttt.py:560-1100; the TTT paper
 * (arXiv 2407.04620v4), section 2.
 *
 * The carry of a sequence:
 *
 *   | last 3 rows of u (share_qk) | head 0: state S, igrad S | head 1: ... |
 *
 * igrad, the inner gradient of an unfinished mini-batch, is zero at slice
 * starts that are multiples of K.
 */
#ifndef TTT_H
#define TTT_H

#include "src/layers/layer.h"

/* The TTT layers, one for each pair of inner model and inner step (ttt_inner.h); NULL after the
 * last. */
const struct layer *ttt_layer(int i);

/* One more layer, `name`, that trains f: for programs that bring a pair of their own, as tests do.
 * Both stay the caller's.  There is room for one; call it before any thread looks for a layer. */
struct inner;
void ttt_add(const char *name, const struct inner *f);

#endif
