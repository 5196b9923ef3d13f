/* gemm_bf16.h -- mixed-precision products: operands in bf16, sums in fp32.
 *
 * As in gemm.h, an element depends only on its row and its column: not on threads, nor on how many
 * rows there are.  Three ways, by the processor:
 *
 *     AVX512_BF16   our own code (gemm_bf16_panel.h)
 *     AMX           oneDNN, which is always called for 64 rows
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
 * k0 is a multiple of 32, and so is K unless the panels end with it.  oneDNN is always called for
 * 64 rows, which must be there (bf16.h): X may begin within other rows only at a multiple of 64.
 * 2 N M K flops. */
void gemm_bf16(const struct gemm_bf16 *p);

/* One row, for generation: y (M) = x B, x (K) in full precision, B panels (K,M).  Bound by reading
 * B.  Local; threads inside. */
void gemm_bf16_row(real *y, const real *x, const bf16 *B, int M, int K);

/* The same of at most 256 rows and columns on the calling thread, for callers that bring their own
 * threads.  Local. */
void gemm_bf16_tile(const struct gemm_bf16 *p);

/* Columns that such a tile should have.  Where results are written in place it is as many as one
 * call makes, so that they stay in the cache; elsewhere as many as it is worth reading operands
 * for. */
int gemm_bf16_tile_columns(void);

/* Does the processor multiply bf16 itself? */
int gemm_bf16_native(void);

#endif
