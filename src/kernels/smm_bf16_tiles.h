/* SPDX-License-Identifier: Apache-2.0 */
/* smm_bf16_tiles.h -- small products of words, by tiles of AMX (amx.h).
 *
 * A mini-batch of 16 rows is one tile.  Operands are used where they lie if they fill whole tiles;
 * what does not is copied to where it does: a transposed first operand, and the last words of K,
 * the last rows and columns, which are filled up with zeros.
 */
#ifndef SMM_BF16_TILES_H
#define SMM_BF16_TILES_H

#include "src/kernels/smm_bf16.h"

/* smm_bf16() on a processor with tiles.  An element gets the sums of 32 k at a time [E49], in the
 * order of k. */
void smm_bf16_tiles(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
                    int K);

#endif
