/* SPDX-License-Identifier: Apache-2.0 */
/* soap.h -- SOAP: Adam in the eigenbasis of Shampoo's factors.
 *
 *     L = EMA(G G'),  R = EMA(G' G),  bases: their eigenvectors, B = Q' by rows
 *     m = b1 m + (1-b1) G,  v = b2 v + (1-b2) (BL G BR')^2                      [E31]
 *     direction = BL' ( mhat' / (sqrt(vhat) + eps) ) BR,  m' = BL m BR'         [E32]
 *
 * The first update only makes factors and bases, so that no gradient is rotated by a basis made
 * from itself.  Every later update makes the direction first and then moves the factors.  Every
 * `precondition_every` updates the bases take one step of the power method and are made
 * orthonormal again,
 *     B = orthonormal rows of (B L), in the order of diag(B L B') descending,   [E33]
 * and v, which is in the old basis, follows that order; m is in the original space and stays.  A
 * side without a factor (has[side] 0) is not rotated.  Source: Vyas et al. 2024 (arXiv 2409.11321),
 * algorithm 3, and the authors' code (nikhilvyas/SOAP).
 *
 * Everything is done on whole matrices, by calls whose shapes are the matrix's: neither the process
 * grid nor the number of threads changes a bit.  The matrices of a stack follow one another in
 * memory.
 */
#ifndef SOAP_H
#define SOAP_H

#include "src/optim/adamw.h"
#include "src/param/factor.h"

struct soap_state {
    real *m, *v;                 /* (matrices, rows, cols)                              */
    real *factor[2];             /* (matrices, d, d) by side; NULL: there is none       */
    real *basis[2];              /* likewise; row i is eigenvector i.  The identity at first: where
                                  * the first decomposition fails, SOAP is AdamW        */
};

/* What one refresh of bases could not do. */
struct soap_trouble {
    int kept;                    /* bases that stay as they were                        */
    int info;                    /* of the last of them, as kernels/lapack.h returns it */
};

/* factors = beta factors + (1 - beta) (g g', g' g), of the gradient g (matrices, rows, cols).
 * Local; threads inside.
 *
 * work     factor_work() reals
 * returns  how many factors were left as they were, because they would have become non-finite
 * cost     2 rows cols (rows + cols) flops a matrix that has both */
int soap_factors(struct soap_state *s, const struct factored *f, double beta, const real *g,
                 real *work);

/* g (matrices, rows, cols) [in: gradient, scaled; out: direction, E32]; the moments make their
 * step, [E31].  work: factor_work() reals.  Local; threads inside. */
void soap_direction(struct soap_state *s, const struct factored *f, const struct adam_rates *a,
                    real *g, real *work);

/* The parts of soap_direction() that are elementwise, for matrices that are spread over processes:
 * the first moments m (n) make their step with g; then, for a rotated gradient g, v (n) makes its
 * step and x (n) becomes the rotated direction [in: rotated m].  Local; threads inside. */
void soap_move_m(const struct adam_rates *a, real *m, const real *g, int64_t n);
void soap_divide(const struct adam_rates *a, real *x, real *v, const real *g, int64_t n);

/* New bases for matrix i: all eigenvectors when `first`, afterwards one power step [E33].  A basis
 * that fails stays as it was and is counted in *trouble.  Local, on the calling thread. */
void soap_refresh(struct soap_state *s, const struct factored *f, int i, int first,
                  struct soap_trouble *trouble);

/* w -= lr (direction + decay w), n elements.  Local; threads inside. */
void soap_apply(const struct adam_rates *a, real *w, const real *direction, int64_t n);

#endif
