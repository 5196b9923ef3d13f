/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h -- the selective scan of Mamba: one linear recurrence for every channel and state.
 *
 *     delta = softplus(raw + bias),   A = -exp(A_log)
 *     h_n   <- exp(delta A_n) h_n + delta u B_n                                      [E50]
 *     y     = (sum_n C_n h_n + D u) * silu(z)                                        [E51]
 *
 * u, raw, z and y have C channels for each token; B and C_n are common to all channels: N states
 * each.
 *
 *     h0 ==[ group 0 ]==> h ==[ group 1 ]==> h ...        a group: SCAN_GROUP = 32 tokens
 *
 * The state moves token by token, so a sequence may be cut anywhere and gives the same bits.
 * Forward keeps the state before every group.  Backward takes the groups from the last to the
 * first: it recomputes the states of a group from the kept one (activation recomputation), then
 * goes through the group in reverse.
 *
 * A task is a strip: SCAN_STRIP = 64 channels of one sequence, which lie side by side in vectors,
 * so that the states and A of a strip stay in the core's cache.  Sums over channels are made strip
 * by strip, then over strips in order; threads share out strips, so their number changes no bit.
 */
#ifndef SCAN_H
#define SCAN_H

#include "src/base/real.h"

#define SCAN_STRIP 64
#define SCAN_GROUP 32

/* A slice of T tokens of B sequences.  Rows have C channels, or are `ld` reals apart where this
 * says so. */
struct scan {
    int         B, T, C, N, ld;
    const real *u, *raw, *z;      /* (B*T,C)                                         */
    const real *Bn, *Cn;          /* (B*T,N), rows ld apart                          */
    const real *bias, *D, *A_log; /* (C), (C), (C,N)                                 */
    real       *kept;             /* (B,scan_groups(T),N,C) for backward; or NULL    */
    real       *scratch;          /* scan_scratch() reals                            */
};

/* The gradient with respect to what struct scan names; of parameters, one for each sequence. */
struct scan_grad {
    const real *dy;               /* (B*T,C) [in]                                    */
    real *du, *draw, *dz;         /* (B*T,C) =                                       */
    real *dB, *dC;                /* (B*T,N), rows ld apart, =                       */
    real *dbias, *dD, *dA_log;    /* (B,C), (B,C), (B,C,N) =                         */
};

/* A slice as a map of the state: number by number, the state after it is decay * (the state before
 * it) + offset.  So slices may be computed apart and their maps composed: map (P, h), followed by a
 * slice (p, g), is (p P, p h + g).  Backward, with the same decay, the gradient of the state before
 * is decay * (that of the state after) + offset.  Arrays (N,C) of each sequence, stride apart. */
struct scan_map { real *decay, *offset; int64_t stride; };

/* Groups in a slice of T tokens.  Local. */
int scan_groups(int T);

/* Reals of scratch for a slice and so many threads.  Local. */
int64_t scan_scratch(int B, int T, int C, int N, int threads, int backward);

/* y (B*T,C) = [E51]; h (N,C) of each sequence, `stride` apart [in,out]: the state before the slice,
 * then the state after it.  Local; threads inside.  About 7 B T C N flops, and as many exponentials
 * as B T C N. */
void scan_forward(real *y, real *h, int64_t stride, const struct scan *s);

/* The gradient g; dh [in,out]: gradient of the state after the slice, then of the state before it.
 * Local; threads inside. */
void scan_backward(const struct scan_grad *g, real *dh, int64_t stride, const struct scan *s);

/* map [in,out]: composed with this slice, which comes after it.  Local; threads inside. */
void scan_compose(const struct scan_map *map, const struct scan *s);

/* The same for gradients, dy (B*T,C) being that of y: this slice comes before the map. */
void scan_compose_backward(const struct scan_map *map, const real *dy, const struct scan *s);

#endif
