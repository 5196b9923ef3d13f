/* gemm_bf16.h -- dense products of bf16 operands, added up in fp32.
 *
 * As in gemm.h: tiles of fixed size, each a single-threaded call, so that neither the number of
 * threads nor what a unit is computed with changes a bit; a row's result does not depend on the
 * number of rows.  With AMX a tile is made by oneDNN, with AVX512_BF16 by libxsmm, which is faster
 * there because it needs no dense result; where the processor has neither, operands are widened
 * again and an ordinary product is taken: the same mathematics, no faster than fp32.
 */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include "src/kernels/bf16.h"
#include "src/kernels/gemm.h"

/* C (N,M) =|+= X B: X rows (N,K), B rows [k0, k0 + K) of panels (K_all,M); k0 is a multiple of 32,
 * and so is K if there are more.  The library is always called for 64 rows, so units need not be
 * told apart, and X may begin within other rows only at a multiple of 64 of them. */
void gemm_bf16(real *C, int ldc, const bf16 *X, const bf16 *B, int N, int M, int K, int k0,
               int K_all, enum gemm_c c);

/* y (M) = x B, x (K) in full precision: bound by reading B.  Threads inside. */
void gemm_bf16_row(real *y, const real *x, const bf16 *B, int M, int K);

/* One tile's work, for callers that bring their own threads: C (n,m) =|+= X (n,K) B, of at most 256
 * rows and columns; B panels (K,m). */
void gemm_bf16_tile(real *C, int ldc, const bf16 *X, const bf16 *B, int n, int m, int K,
                    enum gemm_c how);

/* Columns that such a tile should have: where results are written in place as many as one call
 * makes, so that they stay in the cache; else as many as operands are worth being read for. */
int gemm_bf16_tile_columns(void);

/* Does the processor multiply bf16 itself? */
int gemm_bf16_native(void);

#endif
