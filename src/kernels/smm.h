/* smm.h -- products of small matrices that stay in the cache: the inner loop of TTT, and attention.
 *
 * All operands are row-major, and contiguous except with smm_block.  libxsmm makes machine code for
 * the shape and the processor at run time; where it cannot, plain C does the same (smm_ref, which
 * tests compare with).
 *
 * Why a library may be used here, although it promises equal bits at best for the same call: all
 * processes make the same calls, however a sequence is cut.  Mini-batches and blocks of attention
 * lie at multiples of their length from the sequence's start, so that a token has the same place in
 * a call of the same shape; the last, shorter mini-batch of a sequence is as short on every grid.
 *
 * Everything is local, on the calling thread.  2 M N K flops; no operand may overlap C unless the
 * text says so.
 */
#ifndef SMM_H
#define SMM_H

#include "src/base/real.h"

/* C (M,N) = A (M,K) B (K,N), or C += A B when `add`. */
void smm(real *C, const real *A, const real *B, int M, int N, int K, int add);
void smm_ref(real *C, const real *A, const real *B, int M, int N, int K, int add);

/* C (M,N) = or += A' B, for A (K,M) and B (K,N). */
void smm_tn(real *C, const real *A, const real *B, int M, int N, int K, int add);

/* C (M,N) = from + A' B, for A (K,M) and B (K,N).  `from` may be C; NULL means zeros. */
void smm_tn_from(real *C, const real *from, const real *A, const real *B, int M, int N, int K);

/* A product of parts of larger arrays: sizes, and reals from row to row of each array as stored. */
struct smm_shape { int M, N, K, ldc, lda, ldb, add, transposed; };

/* C (M,N) = or += A B with B (K,N), and A (M,K) or, when `transposed`, A' with A (K,M). */
void smm_block(real *C, const real *A, const real *B, const struct smm_shape *s);
void smm_block_ref(real *C, const real *A, const real *B, const struct smm_shape *s);

/* B (N,M) = A' for A (M,N); B += A'; and, elementwise, B = A' * S, where S (N,M) may be B. */
void smm_transpose(real *B, const real *A, int M, int N);
void smm_transpose_add(real *B, const real *A, int M, int N);
void smm_transpose_times(real *B, const real *A, const real *S, int M, int N);

/* y (N) = x (K) B (K,N), or += when `add`: one row, for one token in the primal form. */
void smm_row(real *y, const real *x, const real *B, int N, int K, int add);

#endif
