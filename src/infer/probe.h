/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h -- every number that a model computes on given tokens, as named tensors.
 *
 * With it users verify that their model was loaded correctly, and tests compare
 * it with the public implementations:
 *
 *     logits (B,L,V)   nll (B,L-1)   loss (1): mean over all targets
 *     hidden.<i> (B,L,C): after block i-1, hidden.0 = embedding   hidden.norm
 *     grad.<parameter>: d loss / d parameter   grad_norm (1)
 *     state.<layer>.W1 (B,H,F,F), state.<layer>.b1 (B,H,1,F): after the last full
 *         mini-batch; of an unfinished one also igrad.* (inner gradient next to the
 *         state) and tail.* (the fast weights its last token sees)
 *     conv_state.<layer>.* (B,C,taps-1): last inputs of the convolutions, oldest first
 *     w0, before, after (layers, mini-batches): inner losses; NAN in the row of a layer that has no
 *         inner loop
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

#include "src/model/model.h"
#include "src/store/ckpt.h"

struct probe_opts {
    int hidden, states, inner, grads;  /* 0/1: wanted besides logits, nll and loss */
    int slice;                         /* tokens read at once; 0: all              */
};

struct probe;

/* Read tok (B,L), L >= 2.
 *
 * Gradients are those of one backward pass in floats, not rounded to the
 * multiples of exact reduction.
 *
 * returns OK; ERR_CONFIG if a token is not one of the model's; ERR_USAGE if gradients are
 * wanted with a slice that is no multiple of the mini-batch */
int probe_run(struct probe **out, const struct model *m, const int32_t *tok, int B, int L,
              const struct probe_opts *o);
void probe_free(struct probe *p);

/* What was found, in the order above; owned by p. */
const struct tensor *probe_tensors(const struct probe *p, int *count);

#endif
