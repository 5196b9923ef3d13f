/* blacs.h -- process grids and matrices of ScaLAPACK.
 *
 *   axis (ranks 0..n-1)  ->  blacs: rows x cols of them, row by row  ->  blocks: a matrix on it
 *
 * ScaLAPACK is column-major.  A row-major array is the transpose of what it sees, and the tiles of
 * one (base/tiling.h), dealt out in turn to n processes, are a matrix of it on a grid 1 x n whose
 * blocks are panels of columns: checkpoint tiles need no other layout to be multiplied.
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

/* The first rows x cols ranks of axis become a grid.  Collective on axis; rows, cols must agree. */
void blacs_init(struct blacs *b, const struct axis *axis, int rows, int cols);
void blacs_done(struct blacs *b);  /* collective */

struct blocks {
    const struct blacs *b;     /* borrowed                                           */
    int     desc[DESC_SIZE];
    int     m, n;              /* of the matrix                                      */
    int     rows, cols;        /* of our part of it, 0 where we are not on the grid  */
    real   *a;                 /* (rows, cols) column-major                          */
    int     owned;
};

/* A matrix (m,n) in blocks (mb,nb); a: our part, borrowed; NULL: zeros, owned.  Local. */
void blocks_init(struct blocks *x, const struct blacs *b, int m, int n, int mb, int nb, real *a);
void blocks_done(struct blocks *x);

/* Where element (i,j) of our part is in the matrix. */
int blocks_row(const struct blocks *x, int i);
int blocks_col(const struct blocks *x, int j);

/* to = from, both (m,n), on any two grids whose processes are on `all`'s axis.  Collective on it,
 * and so is `all`: a grid of all its processes. */
void blocks_copy(struct blocks *to, const struct blocks *from, const struct blacs *all);

/* C = alpha op(A) op(B) + beta C, all on one grid.  Collective on it; nothing elsewhere. */
void blocks_product(struct blocks *C, char ta, const struct blocks *A, char tb,
                    const struct blocks *B, real alpha, real beta);

/* Eigenvectors of symmetric A (n,n), lost: columns of Q, ascending; w (n) on all.  Blocks must be
 * square.  returns LAPACK's info, the same on all: 0, or > 0 if it failed */
int blocks_eigen(struct blocks *Q, real *w, struct blocks *A);

/* The columns of A (m,n), m >= n, become orthonormal, each in the span of itself and those before
 * it. */
void blocks_orthonormal(struct blocks *A);

/* Singular values of A, lost; s (min(m,n)) on all, descending.  returns as blocks_eigen() */
int blocks_singular(real *s, struct blocks *A);

#endif
