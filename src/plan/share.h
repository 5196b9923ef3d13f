/* SPDX-License-Identifier: Apache-2.0 */
/* share.h -- who does what on a grid of D x P x S processes.
 *
 *     rank = (d P + p) S + s
 *
 * D splits the sequences of a step, P the layers into stages, S the units (slices) of every
 * sequence into contiguous chunks.  Nothing has to divide: shares differ by at most one.  Layers
 * that cost differently are shared out so that the stage that costs most costs as little as
 * possible. Pure arithmetic, so that every process knows every other one's share.
 */
#ifndef SHARE_H
#define SHARE_H

#include <stdint.h>

struct grid_shape { int D, P, S; };

/* How the ranks along S share a sequence.  Wavefront: a rank computes a layer after the carries of
 * the rank before have arrived.  Heads and scan: all ranks work on one layer at a time; in heads
 * mode they divide its tokens, then (for the inner loop) its heads; in scan mode its tokens, and
 * each gets the state of the ranks before from a parallel scan. */
enum sequence_mode { SEQ_WAVEFRONT, SEQ_HEADS, SEQ_SCAN };

/* The work of one step, before it is shared out. */
struct step_shape {
    int L;             /* layers                                 */
    const int64_t *cost;  /* (L) of each layer, > 0, in any unit; NULL: all alike; borrowed */
    int U;             /* units of a sequence                    */
    int sequences;     /* of a step                              */
    int micro_batch;   /* sequences at once                      */
    enum sequence_mode mode;
};

struct share {
    int d, p, s;
    int l0, l1;        /* layers                                 */
    int u0, u1;        /* units of each sequence                 */
    int q0, q1;        /* sequences of the step                  */
    int M;             /* micro-batches: ceil((q1-q0) / micro_batch) */
};

/* "2x1x4" -> shape: three numbers from 1, at most GRID_RANKS ranks.  grid_is() returns 1 or 0
 * without a message; grid_parse() OK or ERR_CONFIG, reported. */
#define GRID_RANKS (1 << 20)
int grid_is(struct grid_shape *g, const char *text);
int grid_parse(struct grid_shape *g, const char *text);

/* A grid for n ranks when the user does not care: as many ranks as divide n go to sequences,
 * then to units of a sequence, the rest to layers. */
struct grid_shape grid_auto(int n, const struct step_shape *w);

int grid_ranks(const struct grid_shape *g);
int grid_rank(const struct grid_shape *g, int d, int p, int s);

/* Can this work run on this grid?  OK, or ERR_CONFIG with a message: P > layers,
 * S > units of a sequence, a number below 1. */
int share_check(const struct grid_shape *g, const struct step_shape *w);

/* The first layer of stage p of P, 0 <= p <= P <= L; L for p = P.  Local; with costs O(L^2). */
int share_layer(const struct step_shape *w, int P, int p);

void share_of(struct share *out, const struct grid_shape *g, const struct step_shape *w, int rank);

#endif
