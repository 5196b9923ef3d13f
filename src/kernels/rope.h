/* SPDX-License-Identifier: Apache-2.0 */
/* rope.h -- rotary position embedding: pairs (i, i + F/2), as in Hugging Face's Llama.
 *
 * Queries and keys of a head are rotated by angles  t theta^(-2i/F)  for position t in the
 * sequence, so that a product of two depends only on their distance.                       [E60]
 *
 * Models that were trained further on longer sequences rotate more slowly: `scaling` divides all
 * angles, or only those that are small anyway.                                             [E63]
 */
#ifndef ROPE_H
#define ROPE_H

#include "src/base/real.h"

/* Kinds of scaling, with the names of Hugging Face's rope_type.  llama3: let a pair need w tokens
 * for a full rotation; angles with w > original / low are divided by factor, those with w <
 * original / high are not, and in between the angle goes from one to the other linearly in 1/w. */
enum rope_scaling { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope {
    double            theta;
    enum rope_scaling scaling;
    double            factor;      /* >= 1; of the others only: */
    double            low, high;   /* llama3: 0 < low < high */
    int               original;    /* llama3: tokens of a sequence before, >= 1 */
};

/* Angle in radians by which pair i = 0 .. F/2 - 1 rotates from one token to the next.  Local. */
double rope_angle(const struct rope *r, int i, int F);

/* rope (T,F) [out]: cosines, then sines, of positions pos .. pos + T - 1.  Local; with threads. */
void rope_table(real *rope, int64_t pos, int T, int F, const struct rope *r);

/* Rotate x (B T, H F) in place by the table `rope` (T,F); sign -1 rotates back, which is how
 * gradients go.  Local; threads inside.  3 B T H F flops. */
void rope_rotate(real *x, const real *rope, int B, int T, int H, int F, int sign);

#endif
