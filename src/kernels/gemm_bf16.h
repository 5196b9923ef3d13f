/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_bf16.h -- mixed-precision products: operands in bf16, sums in fp32.
 *
 * As in gemm.h, an element depends only on its row and its column: not on threads, nor on how many
 * rows there are.  Three ways, by the processor:
 *
 *     AMX           tiles of 16 x 16 sums; a sum of 32 k at a time [E49] (gemm_bf16_tiles.h)
 *     AVX512_BF16   vectors of 16 sums; two k at a time (gemm_bf16_panel.h)
 *     neither       the product of fp32, with operands widened as they are packed: the same
 *                   mathematics, and no faster
 *
 * Bits are equal within one of the three, not across them.
 */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include "src/kernels/bf16.h"
#include "src/kernels/gemm.h"

/* C (N,M) = or += X B, as struct gemm_bf16 (kernels/gemm.h) describes it.  Local; threads inside.
 *
 * k0 is a multiple of 32, and so is K unless the panels end with it.  2 N M K flops. */
void gemm_bf16(const struct gemm_bf16 *p);

/* One row, for generation: y (M) = x B, x (K) in full precision, B panels (K,M).  Bound by reading
 * B.  Local; threads inside. */
void gemm_bf16_row(real *y, const real *x, const bf16 *B, int M, int K);

/* The same of at most 256 rows and columns on the calling thread, for callers that bring their own
 * threads.  Local. */
void gemm_bf16_tile(const struct gemm_bf16 *p);

/* Columns that such a tile should have: with AVX512_BF16 one panel's, so that results stay in the
 * cache; elsewhere as many as it is worth reading rows for. */
int gemm_bf16_tile_columns(void);

/* Does the processor multiply bf16 itself? */
int gemm_bf16_native(void);

#endif
