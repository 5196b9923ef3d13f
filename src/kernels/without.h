/* SPDX-License-Identifier: Apache-2.0 */
/* without.h -- parts of a TTT layer that a configuration leaves out: the rows of the paper's
 * Table 1.  A set of these; 0 is the layer as published.
 *
 *     f(x) = x + LN(x W + b)          eta_ij = max(0, 1/(i+1) + token_idx_i) lr sigmoid_j / F
 *            ^   ^         ^                          ^         ^                ^
 *         RESIDUAL NORM   BIAS                       MEAN   TOKEN_IDX          GATE
 *
 * Theorem 1 of the paper is all of them, mini-batches as long as the sequence and lr = F: linear
 * attention.
 */
#ifndef WITHOUT_H
#define WITHOUT_H

enum without {
    WITHOUT_NORM      = 1,   /* f is its last dense layer; no gamma, beta             */
    WITHOUT_RESIDUAL  = 2,   /* f(x) and its target have no x: f(K) learns V          */
    WITHOUT_BIAS      = 4,   /* dense layers are products only                        */
    WITHOUT_INIT      = 8,   /* the state begins as zero, not as learned parameters   */
    WITHOUT_GATE      = 16,  /* the inner rate is lr / F for every token              */
    WITHOUT_TOKEN_IDX = 32,  /* nothing is added to 1/(i+1)                           */
    WITHOUT_MEAN      = 64   /* 1 instead of 1/(i+1): steps add up, as in attention   */
};

#endif
