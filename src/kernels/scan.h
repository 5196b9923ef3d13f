/* scan.h -- the selective scan of Mamba: one linear recurrence for every channel and state.
 *
 *     delta = softplus(raw + bias),   A = -exp(A_log)
 *     h_n   <- exp(delta A_n) h_n + delta u B_n                                      [E50]
 *     y     = (sum_n C_n h_n + D u) * silu(z)                                        [E51]
 *
 * u, raw, z, y have C channels a token, B and C_n are the same for all of them: N states each.
 *
 *     h0 ==[ group 0 ]==> h ==[ group 1 ]==> h ...        SCAN_GROUP 32
 *
 * The state is in single steps of a token, so a sequence may be cut anywhere and gives the same
 * bits.  Backward takes the groups from last to first: recomputes the states of one, then walks
 * it in reverse.
 *
 * A task is a strip of SCAN_STRIP 64
 * by side in a vector: states and A of a strip stay in the core's cache.  Sums over channels are
 * made strip by strip, then over strips in order; threads share out strips, so their number
 * changes no bit.
 */
#ifndef SCAN_H
#define SCAN_H

#include "src/base/real.h"

#define SCAN_STRIP 64
#define SCAN_GROUP 32

/* B sequences of T tokens; rows (B*T) of C channels, or of `ld` reals where said. */
struct scan {
    int         B, T, C, N, ld;
    const real *u, *raw, *z;      /* (B*T,C)                                         */
    const real *Bn, *Cn;          /* (B*T,N), ld from row to row                     */
    const real *bias, *D, *A_log; /* (C), (C), (C,N)                                 */
    real       *kept;             /* (B,scan_groups(T),N,C); forward may have NULL   */
    real       *scratch;          /* scan_scratch()                                  */
};

/* Of the loss, with respect to what struct scan names.  Parameters' (B,..): of each sequence. */
struct scan_grad {
    const real *dy;               /* (B*T,C)                 */
    real *du, *draw, *dz;         /* (B*T,C) set             */
    real *dB, *dC;                /* (B*T,N), s->ld, set     */
    real *dbias, *dD, *dA_log;    /* (B,C), (B,C), (B,C,N) set */
};

/* The state behind a slice is decay * (state before) + offset, number by number.  Slices may be
 * taken apart and their maps be composed: after a slice (P, h) becomes (p P, p h + offset).
 * Backward, the gradient of the state before is decay * (of the state behind) + offset, with the
 * same decay.  Arrays (N,C) of each sequence, stride apart. */
struct scan_map { real *decay, *offset; int64_t stride; };

int scan_groups(int T);

/* Reals of scratch. */
int64_t scan_scratch(int B, int T, int C, int N, int threads, int backward);

/* y (B*T,C) set; h (N,C) of each sequence, `stride` apart [in,out].  About 7 B T C N flops, and an
 * exponential for each. */
void scan_forward(real *y, real *h, int64_t stride, const struct scan *s);

/* g set; dh [in,out]: gradient of the state behind the slice -> of the one before. */
void scan_backward(const struct scan_grad *g, real *dh, int64_t stride, const struct scan *s);

/* map [in,out]: composed with this slice behind it; or, backward, in front of it.  dy: of y. */
void scan_compose(const struct scan_map *map, const struct scan *s);
void scan_compose_backward(const struct scan_map *map, const real *dy, const struct scan *s);

#endif
