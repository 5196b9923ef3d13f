/* rope.h -- rotary positions of attention: pairs (i, i + F/2), as Hugging Face's Llama has them.
 *
 * Queries and keys of a head are transposed by angles  t theta^(-2i/F)  of their position t in the
 * sequence, so that a product of two depends on the distance only.                         [E60]
 *
 * Models that were trained again on longer sequences turn slowly: scaling divides the angles, all
 * of them or those that turn slowly anyway.                                                [E63]
 */
#ifndef ROPE_H
#define ROPE_H

#include "src/base/real.h"

/* Kinds of scaling, with the names of Hugging Face's rope_type.  llama3: with w the tokens of a
 * whole turn, angles with w > original / low are divided by factor, those with w < original / high
 * are not, and between the two the rate goes from one to the other linearly in 1 / w. */
enum rope_scaling { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope {
    double            theta;
    enum rope_scaling scaling;
    double            factor;      /* >= 1; of the others only: */
    double            low, high;   /* llama3: 0 < low < high */
    int               original;    /* llama3: tokens of a sequence before, >= 1 */
};

/* Angle per token of pairs i = 0 .. F/2 - 1. */
double rope_angle(const struct rope *r, int i, int F);

/* rope (T,F): cosines, then sines, of positions pos .. pos + T - 1.  Threads inside. */
void rope_table(real *rope, int64_t pos, int T, int F, const struct rope *r);

/* Turn x (B T, H F) in place; sign -1 turns back, which is the gradient's way.  Threads inside. */
void rope_rotate(real *x, const real *rope, int B, int T, int H, int F, int sign);

#endif
