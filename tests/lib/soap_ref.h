/* SPDX-License-Identifier: Apache-2.0 */
/* soap_ref.h -- SOAP of one matrix, written down plainly in double: the oracle of src/optim/soap
 * and mpi/soap_step.  Eigenvectors by Jacobi's rotations, orthonormal columns by Gram and Schmidt:
 * nothing of LAPACK, and columns where the program has rows. */
#ifndef SOAP_REF_H
#define SOAP_REF_H

struct soap_ref {
    int     dim[2], has[2];        /* rows, cols; is that side rotated?               */
    int     updates, every;
    double  b1, b2, beta, eps;
    double *m, *v;                 /* (rows, cols)                                    */
    double *factor[2], *basis[2];  /* (d, d); NULL where a side is not rotated         */
};

void soap_ref_init(struct soap_ref *s, int rows, int cols, int max_dim, int every, double b1,
                   double b2, double beta, double eps);
void soap_ref_done(struct soap_ref *s);

/* g (rows, cols) [in: gradient, out: direction].  returns 0 in the first update: no direction */
int soap_ref_update(struct soap_ref *s, double *g);

/* Eigenvectors of symmetric A (n,n), lost: columns of Q, largest first; w (n) eigenvalues. */
void jacobi(double *A, double *Q, double *w, int n);

#endif
