/* SPDX-License-Identifier: Apache-2.0 */
/* blacs.h -- process grids and matrices of ScaLAPACK.
 *
 *   axis (ranks 0..n-1)  ->  blacs: rows x cols of them, row by row  ->  blocks: a matrix on it
 *
 * ScaLAPACK is column-major: it sees a row-major array as its transpose.  The tiles of such an
 * array (base/tiling.h), dealt out cyclically to n processes, are for ScaLAPACK a matrix on a grid
 * 1 x n whose blocks are panels of columns.  So tiles, as checkpoints have them, can be multiplied
 * where they are.
 */
#ifndef BLACS_H
#define BLACS_H

#include "mpi/grid/comm.h"
#include "mpi/grid/scalapack.h"

struct blacs {
    const struct axis *axis;   /* borrowed                                           */
    MPI_Comm comm;             /* a copy of its own: BLACS counts one grid for each  */
    int handle, context;       /* context -1: this process is not on the grid        */
    int rows, cols;
    int row, col;              /* -1 likewise                                        */
};

/* Make a grid of the first rows x cols ranks of axis, and free it.
 *
 * Collective on axis; rows and cols must agree. */
void blacs_init(struct blacs *b, const struct axis *axis, int rows, int cols);
void blacs_done(struct blacs *b);

struct blocks {
    const struct blacs *b;     /* borrowed                                           */
    int     desc[DESC_SIZE];
    int     m, n;              /* of the matrix                                      */
    int     rows, cols;        /* of our part of it, 0 where we are not on the grid  */
    real   *a;                 /* (rows, cols) column-major                          */
    int     owned;
};

/* Describe a matrix (m,n) in blocks (mb,nb), and free it.  Local.
 *
 * a        this rank's part, (rows, cols) column-major, borrowed; NULL: zeros, owned by x */
void blocks_init(struct blocks *x, const struct blacs *b, int m, int n, int mb, int nb, real *a);
void blocks_done(struct blocks *x);

/* Row and column in the matrix of element (i,j) of this rank's part.  Local. */
int blocks_row(const struct blocks *x, int i);
int blocks_col(const struct blocks *x, int j);

/* to = from, both (m,n).  The two may be on different grids.
 *
 * Collective on the axis of `all`.
 *
 * all      a grid of all processes of its axis, which has the processes of both grids */
void blocks_copy(struct blocks *to, const struct blocks *from, const struct blacs *all);

/* C = alpha op(A) op(B) + beta C; ta, tb: 'N' or 'T'.
 *
 * Collective on the one grid that all three are on; on other ranks it does nothing. */
void blocks_product(struct blocks *C, char ta, const struct blocks *A, char tb,
                    const struct blocks *B, real alpha, real beta);

/* Eigenvalues and eigenvectors of a symmetric A (n,n) in square blocks.
 *
 * Collective on the grid of A and Q.
 *
 * Q        [out] (n,n): eigenvectors as columns, in ascending order of their values
 * w        [out] (n) eigenvalues, on every rank
 * A        [in] overwritten
 * returns  LAPACK's info, the same on all ranks: 0, or > 0 if it failed */
int blocks_eigen(struct blocks *Q, real *w, struct blocks *A);

/* Make the columns of A (m,n), m >= n, orthonormal by a QR decomposition: each stays in the span of
 * itself and the columns before it.
 *
 * Collective on the grid of A. */
void blocks_orthonormal(struct blocks *A);

/* Singular values of A (m,n).
 *
 * Collective on the grid of A.
 *
 * s        [out] (min(m,n)), descending, on every rank
 * A        [in] overwritten
 * returns  as blocks_eigen() */
int blocks_singular(real *s, struct blocks *A);

#endif
