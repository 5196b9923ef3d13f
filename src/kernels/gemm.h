/* gemm.h -- dense matrix products, row-major, any number of threads, one result.
 *
 * A product is cut into tiles of fixed size; a tile is one single-threaded
 * library call (oneDNN in float, OpenBLAS in double).  Threads share out
 * tiles, never sums, so their number changes no bit.  Rows come in units
 * ("rows per unit" R): no tile reaches over a unit's end, so that a unit's
 * result does not depend on which units it is computed with.  A row's result does
 * not depend on the number of rows either, except that units of one
 * row (generation, bound by memory) round differently.
 */
#ifndef GEMM_H
#define GEMM_H

#include "src/base/real.h"

/* How a call treats what is in C. */
enum gemm_c { GEMM_SET, GEMM_ADD };

/* C (N,M) =|+= A (N,K) B' with B (M,K): y = x W' of a linear layer.  N rows in
 * units of R (R divides N).  Local; threads inside.  2 NMK flops. */
void gemm_nt(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, int R, enum gemm_c c);

/* C (N,M) =|+= A (N,K) B with B (K,M): dx = dy W. */
void gemm_nn(real *C, int ldc, const real *A, int lda, const real *B, int ldb,
             int N, int M, int K, int R, enum gemm_c c);

/* One tile's work, for callers that bring their own threads.
 * C (M,N) =|+= op(A) op(B) with inner length K; ta, tb: 'N' or 'T'.
 * Local; no threads inside. */
void gemm_tile(char ta, char tb, real *C, int ldc, const real *A, int lda, const real *B, int ldb,
               int M, int N, int K, enum gemm_c c);

/* Once, before the first call: keeps the libraries from starting threads of
 * their own. */
void gemm_start(void);

#endif
