/* SPDX-License-Identifier: Apache-2.0 */
/* scalapack.h -- the only prototypes of BLACS, PBLAS, ScaLAPACK and its redistribution: the
 * library comes without a header.  In the precision of `real`.
 *
 * Matrices are column-major and block-cyclic (plan/cyclic_plan.h); indices count from 1.  Texts are
 * single letters; gfortran expects their lengths as the last arguments.
 */
#ifndef SCALAPACK_H
#define SCALAPACK_H

#include <mpi.h>
#include <stddef.h>

#include "src/base/real.h"

#ifdef TTT_F64
#define PXGEMM pdgemm_
#define PXGEQRF pdgeqrf_
#define PXORGQR pdorgqr_
#define PXSYEVD pdsyevd_
#define PXGESVD pdgesvd_
#define CPXGEMR2D Cpdgemr2d
#else
#define PXGEMM psgemm_
#define PXGEQRF psgeqrf_
#define PXORGQR psorgqr_
#define PXSYEVD pssyevd_
#define PXGESVD psgesvd_
#define CPXGEMR2D Cpsgemr2d
#endif

enum { DESC_TYPE, DESC_CONTEXT, DESC_M, DESC_N, DESC_MB, DESC_NB, DESC_RSRC, DESC_CSRC, DESC_LLD,
       DESC_SIZE };

/* Cblacs_gridmap() and Cblacs_gridexit() are Collective on the grid, the others Local. */
int  Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridmap(int *context, int *ranks, int ld, int rows, int cols);
void Cblacs_gridinfo(int context, int *rows, int *cols, int *row, int *col);
void Cblacs_gridexit(int context);
void Cblacs_freebuff(int context, int wait);
void Cblacs_set(int context, int what, const int *value);
enum { BLACS_REPEATABLE = 15, BLACS_COHERENT = 16 };  /* what: sums always in the same order; equal
                                                       * bits on all processes */

/* The topology of messages: operation "B"roadcast or "C"ombine, scope "R"ow, "C"olumn or "A"ll.
 * Local. */
void pb_topset_(const int *context, const char *operation, const char *scope, const char *topology,
                size_t, size_t, size_t);

/* Rows (columns) of a matrix that are on process `rank`.  Local. */
int numroc_(const int *n, const int *nb, const int *rank, const int *first, const int *p);

/* Redistribution; product; QR and its Q; eigenvectors; singular values.  Collective on the grid of
 * the context. */
void CPXGEMR2D(int m, int n, const real *A, int ia, int ja, const int *desca, real *B, int ib,
               int jb, const int *descb, int context);
void PXGEMM(const char *ta, const char *tb, const int *m, const int *n, const int *k,
            const real *alpha, const real *A, const int *ia, const int *ja, const int *desca,
            const real *B, const int *ib, const int *jb, const int *descb, const real *beta,
            real *C, const int *ic, const int *jc, const int *descc, size_t, size_t);
void PXGEQRF(const int *m, const int *n, real *A, const int *ia, const int *ja, const int *desca,
             real *tau, real *work, const int *lwork, int *info);
void PXORGQR(const int *m, const int *n, const int *k, real *A, const int *ia, const int *ja,
             const int *desca, const real *tau, real *work, const int *lwork, int *info);
void PXSYEVD(const char *jobz, const char *uplo, const int *n, real *A, const int *ia,
             const int *ja, const int *desca, real *w, real *Z, const int *iz, const int *jz,
             const int *descz, real *work, const int *lwork, int *iwork, const int *liwork,
             int *info, size_t, size_t);
void PXGESVD(const char *jobu, const char *jobvt, const int *m, const int *n, real *A,
             const int *ia, const int *ja, const int *desca, real *s, real *U, const int *iu,
             const int *ju, const int *descu, real *VT, const int *iv, const int *jv,
             const int *descv, real *work, const int *lwork, int *info, size_t, size_t);

#endif
