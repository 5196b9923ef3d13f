/* SPDX-License-Identifier: Apache-2.0 */
/* smm.h -- products of small matrices that stay in the cache: the inner loop of TTT, and attention.
 *
 * All operands are row-major.  An element of a sum of products is one chain of fused multiply-adds
 * that this text fixes, over the numbers k of the first term, then of the second, and so on:
 *
 *     C_mn = fma(a_k, b_k, ... fma(a_0, b_0, from_mn))                              [E59]
 *
 * It does not depend on the other rows and columns, nor on the instruction set: tiles for AVX2 and
 * AVX-512 (smm_tile.h) and plain C give equal bits.
 *
 * Everything is local, on the calling thread.  No operand may overlap C unless the text says so.
 */
#ifndef SMM_H
#define SMM_H

#include "src/base/real.h"

/* A (M,K) times B (K,N), or A' B with A (K,M) when `transposed`.  lda, ldb: reals from row to row
 * as stored.  lower: A is square and zero above its diagonal, and those zeros are not added. */
struct smm_term { const real *A, *B; int K, lda, ldb, transposed, lower; };

/* C (M,N) = from + the sum of n terms.  `from` may be C; NULL: zeros; ldfrom 0: one row for all. */
struct smm_sum {
    real *C;
    const real *from;
    int M, N, ldc, ldfrom;
    const struct smm_term *terms;
    int n;
};
void smm_sum(const struct smm_sum *s);
void smm_sum_ref(const struct smm_sum *s);

/* Contiguous: C (M,N) = A (M,K) B (K,N), or C += A B when `add`. */
void smm(real *C, const real *A, const real *B, int M, int N, int K, int add);
void smm_ref(real *C, const real *A, const real *B, int M, int N, int K, int add);

/* C (M,N) = or += A' B, for A (K,M) and B (K,N). */
void smm_tn(real *C, const real *A, const real *B, int M, int N, int K, int add);

/* A product of parts of larger arrays: sizes, and reals from row to row of each array as stored. */
struct smm_shape { int M, N, K, ldc, lda, ldb, add, transposed; };

/* C (M,N) = or += A B with B (K,N), and A (M,K) or, when `transposed`, A' with A (K,M). */
void smm_block(real *C, const real *A, const real *B, const struct smm_shape *s);
void smm_block_ref(real *C, const real *A, const real *B, const struct smm_shape *s);

/* B (N,M) = A' for A (M,N), and B += A'. */
void smm_transpose(real *B, const real *A, int M, int N);
void smm_transpose_add(real *B, const real *A, int M, int N);

/* y (N) = x (K) B (K,N), or += when `add`: one row, for one token in the primal form. */
void smm_row(real *y, const real *x, const real *B, int N, int K, int add);

#endif
