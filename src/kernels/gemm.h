/* gemm.h -- dense matrix products, row-major: every element of C is one sum that this text fixes.
 *
 *     s_j  = fma(a_k, b_k, ... fma(a_k0, b_k0, 0)),  k from k0 = 256 j to the end of block j
 *     C_nm = s_0 (or C_nm + s_0), then + s_1, + s_2, ...                                  [E48]
 *
 * An element depends on its row of A, its column of B and what was in C, and on nothing else: not
 * on how many rows or columns there are, where among them it stands, the number of threads, how
 * the work is cut, or the instruction set (AVX-512, AVX2 and plain C give equal bits; an fma is
 * rounded once everywhere).  That is why no library makes these products: what a library promises
 * is at best the same bits for the same call.
 *
 * The work is cut as Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication",
 * 2008) do: a block of B is packed into panels that stay in the L2 cache, a few rows of A into the
 * L1 cache, and a micro-kernel (gemm_micro.h) keeps its tile of C in registers for a block of k.
 */
#ifndef GEMM_H
#define GEMM_H

#include "src/kernels/bf16.h"

#define GEMM_BLOCK 256  /* of k: part of the result */

/* How a call treats what is in C. */
enum gemm_c { GEMM_SET, GEMM_ADD };

/* C (N,M) =|+= A (N,K) B' with B (M,K): y = x W' of a linear layer.  Local; threads inside.
 * 2 NMK flops. */
void gemm_nt(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, enum gemm_c c);

/* C (N,M) =|+= A (N,K) B with B (K,M): dx = dy W.  Local; threads inside. */
void gemm_nn(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, enum gemm_c c);

/* For callers that bring their own threads: C (N,M) =|+= op(A) op(B) with inner length K; ta, tb:
 * 'N' or 'T', op(A) (N,K), op(B) (K,M).  Local; no threads inside. */
void gemm_tile(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
               int N, int M, int K, enum gemm_c c);

/* The same with bf16 operands, widened when they are packed: rows A (N,K), and panels B (K,M), a panel
 * `apart` numbers from the next; K is a multiple of 32 (kernels/bf16.h). */
void gemm_tile_bf16(real *C, int ldc, const bf16 *A, const bf16 *B, int64_t apart, int N, int M,
                    int K, enum gemm_c c);

/* One row, bound by reading B: y (M) = x B' with B (M,K).  Generation's own: a sum has 64 lanes, and
 * so another rounding.  Local; threads inside. */
void gemm_row(real *y, const real *x, const real *B, int M, int K);

/* How a product of N rows and M columns may be cut for threads, each with its own tiles: pieces down
 * and across, of at most `most` rows and columns.  No part of the result.  Local. */
void gemm_cut(int *down, int *across, int N, int M, int most, int threads);

/* The same in three loops: what tests and the check at a run's start compare with. */
void gemm_ref(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
              int N, int M, int K, enum gemm_c c);

/* Once, before the first call of any library: it may use the instruction sets of kernels/isa.h,
 * and no threads of its own. */
void gemm_start(void);

#endif
