/* rope.h -- rotary positions of attention: pairs (i, i + F/2), as Hugging Face's Llama has them.
 *
 * Queries and keys of a head are turned by angles  t theta^(-2i/F)  of their position t in the
 * sequence, so that a product of two depends on the distance only.                         [E60]
 */
#ifndef ROPE_H
#define ROPE_H

#include "src/base/real.h"

/* rope (T,F): cosines, then sines, of positions pos .. pos + T - 1.  Threads inside. */
void rope_table(real *rope, int64_t pos, int T, int F, double theta);

/* Turn x (B T, H F) in place; sign -1 turns back, which is the gradient's way.  Threads inside. */
void rope_turn(real *x, const real *rope, int B, int T, int H, int F, int sign);

#endif
