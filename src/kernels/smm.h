/* smm.h -- products of small matrices that stay in the cache: the inner loop
 * of TTT.
 *
 * All operands are row-major, and contiguous except with smm_block.  libxsmm makes code for the
 * shape and the processor at run time; where it can't, plain C does the same
 * (smm_ref, also the one that tests compare with).
 *
 * Why a library may stand here, although it promises equal bits at best for the same call: whoever
 * cuts a sequence, and wherever, makes the same calls.  Mini-batches and blocks of attention lie at
 * multiples of their length from the sequence's start, so that a token has the same place in a call
 * of the same shape; the last, shorter mini-batch of a sequence is as short however it is cut.
 */
#ifndef SMM_H
#define SMM_H

#include "src/base/real.h"

/* C (M,N) = A (M,K) B (K,N), or += when `add`.  Local; one thread. */
void smm(real *C, const real *A, const real *B, int M, int N, int K, int add);
void smm_ref(real *C, const real *A, const real *B, int M, int N, int K, int add);

/* The same with A' for A (K,M). */
void smm_tn(real *C, const real *A, const real *B, int M, int N, int K, int add);

/* C = from + A' B; from may be C, NULL: zeros. */
void smm_tn_from(real *C, const real *from, const real *A, const real *B, int M, int N, int K);

/* Products of parts of larger arrays, with the distances between their rows. */
struct smm_shape { int M, N, K, ldc, lda, ldb, add, transposed; };

/* C (M,N) = or += A B with B (K,N), and A (M,K) or, when `transposed`, A' with A (K,M). */
void smm_block(real *C, const real *A, const real *B, const struct smm_shape *s);
void smm_block_ref(real *C, const real *A, const real *B, const struct smm_shape *s);

/* B (N,M) = A' with A (M,N); B += A'; B = A' * S, element by element, S (N,M) may be B. */
void smm_transpose(real *B, const real *A, int M, int N);
void smm_transpose_add(real *B, const real *A, int M, int N);
void smm_transpose_times(real *B, const real *A, const real *S, int M, int N);

/* y (N) = x (K) B (K,N), or += when `add`: one row, for the primal form. */
void smm_row(real *y, const real *x, const real *B, int N, int K, int add);

#endif
