/* SPDX-License-Identifier: Apache-2.0 */
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

/* C = op(A) op(B), or C += op(A) op(B), where op(X) is X or, with transpose_X, its transpose.
 *
 * ldc, lda, ldb: reals from the start of one stored row to the start of the next; 0: no gap.
 * C must not overlap A or B.  N, M, K >= 0; for K = 0 the product is zero.  2 N M K flops.
 *
 *     y = x W'   .C = y,  .A = x,  .B = W, .transpose_B = 1     of a linear layer
 *     dx = dy W  .C = dx, .A = dy, .B = W
 *     dW = dy' x .C = dW, .A = dy, .B = x, .transpose_A = 1
 */
struct gemm {
    real       *C;                     /* (N,M)                            */
    const real *A;                     /* (N,K); with transpose_A (K,N)    */
    const real *B;                     /* (K,M); with transpose_B (M,K)    */
    int         ldc, lda, ldb;
    int         N, M, K;
    int         transpose_A, transpose_B;
    int         add;                   /* 0: C =, 1: C +=                  */
};

/* Local; threads inside.  The product is cut into pieces of C, which threads share out. */
void gemm(const struct gemm *p);

/* The same by the threads of a parallel region, which all call it.  A thread returns when there is
 * no piece left for it: C is complete after the region's next barrier.  So threads that make several
 * products need not wait for each other after each of them.  Local. */
void gemm_team(const struct gemm *p);

/* The same on the calling thread, for callers that bring their own threads.  Local. */
void gemm_tile(const struct gemm *p);

/* The same in three loops: what tests and the check at a run's start compare with.  Local. */
void gemm_ref(const struct gemm *p);

/* A mixed-precision product: C (N,M) = or += X B, operands in bf16 and sums in fp32
 * (kernels/gemm_bf16.h; the layouts are in kernels/bf16.h). */
struct gemm_bf16 {
    real       *C;                     /* (N,M)                                          */
    const bf16 *rows;                  /* X (N,K) as rows                                */
    const bf16 *panels;                /* B as panels (panels_K,M), whose rows [k0, k0 + K) count */
    int         ldc;                   /* reals from row to row of C; 0: M               */
    int         N, M, K;
    int         k0, panels_K;          /* panels_K 0: the panels have K rows, k0 is 0    */
    int         add;                   /* 0: C =, 1: C +=                                */
};

/* Such a product by the code for fp32, on the calling thread: operands are widened when they are
 * packed, as on processors without bf16 instructions.  k0 and K are multiples of 32, or K is the
 * panels'.  Local. */
void gemm_widened(const struct gemm_bf16 *p);

/* One row, bound by reading B: y (M) = x B' with B (M,K).  For generation, where a sum is taken in
 * 64 lanes and so is rounded in another order than [E48].  Local; threads inside. */
void gemm_row(real *y, const real *x, const real *B, int M, int K);

/* How a product of N rows and M columns may be cut for threads: into down x across pieces [out] of
 * at most `tall` rows and `wide` columns.  The cut changes no bit of the result.  Local. */
void gemm_cut(int *down, int *across, int N, int M, int tall, int wide, int threads);

/* Bytes of a core's L2 cache; 512 KiB if the system does not know.  Local. */
int64_t gemm_l2(void);

/* Choose the instruction set (isa.h) and give OpenBLAS one thread.  Once, before the first call of
 * a product or of LAPACK. */
void gemm_start(void);

#endif
