/* SPDX-License-Identifier: Apache-2.0 */
/* lapack.h -- factorizations of one matrix, row-major, on the calling thread.
 *
 * The only prototypes of LAPACK.  It works by columns, so it sees the transpose: where it makes
 * columns, the functions here make rows.  Calls depend only on shapes, and gemm_start() keeps
 * OpenBLAS on one thread, so equal matrices give equal bits.  Nothing more is needed, since on
 * every grid a decomposition is one call for a whole matrix.
 *
 * All return 0; a number > 0 if the algorithm failed (LAPACK's info); LAPACK_NOT_FINITE if the
 * matrix holds NaN or Inf, which some of LAPACK's algorithms never end with.  The outputs mean
 * nothing then.
 */
#ifndef LAPACK_H
#define LAPACK_H

#include <stdint.h>

#include "src/base/real.h"

#define LAPACK_NOT_FINITE (-1)

/* Are all n values finite?  Local. */
int all_finite(const real *v, int64_t n);

/* Eigenvectors of a symmetric A (n,n) [in,out]: its rows become them, that of the largest
 * eigenvalue first; lambda (n) [out]: the eigenvalues, descending.  Local.  About 9 n^3 flops. */
int lapack_eigen(real *A, real *lambda, int n);

/* The rows of A (m,n), m <= n, become orthonormal, each in the span of itself and those above it:
 * A = R' Q by Householder's method, A <- Q.  diag (m) [out]: R's diagonal, whose signs the method
 * leaves open.  Local. */
int lapack_orthonormal(real *A, real *diag, int m, int n);

/* s (min(m,n)) [out]: the singular values of A (m,n), descending.  A is overwritten.  Local. */
int lapack_singular(real *s, real *A, int m, int n);

#endif
