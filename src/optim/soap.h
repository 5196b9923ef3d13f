/* soap.h -- SOAP: Adam in the eigenbasis of Shampoo's factors.
 *
 *     L = EMA(G G'),  R = EMA(G' G),  bases: their eigenvectors, B = Q' by rows
 *     m = b1 m + (1-b1) G,  v = b2 v + (1-b2) (BL G BR')^2                      [E31]
 *     direction = BL' ( mhat' / (sqrt(vhat) + eps) ) BR,  m' = BL m BR'         [E32]
 *
 * The first update only makes factors and bases, so that no gradient is seen in a basis of its
 * own.  Then direction first, factors after it; every `precondition_every` updates the bases take
 * one power step and are made orthonormal again,
 *     B = orthonormal rows of (B L), in the order of diag(B L B') descending,   [E33]
 * and v, which is in the old basis, follows that order; m is in the original space and stays.
 * A side without a factor (has[side] 0) is not rotated.  Source: Vyas et al. 2024, Algorithm 3,
 * and the authors' code (nikhilvyas/SOAP).
 *
 * All of it on whole matrices, by calls whose shapes are the matrix's: no process grid and no
 * number of threads changes a bit.  Stacks of matrices lie one behind the other.
 */
#ifndef SOAP_H
#define SOAP_H

#include "src/optim/adamw.h"
#include "src/param/factor.h"

struct soap_state {
    real *m, *v;                 /* (matrices, rows, cols)                              */
    real *factor[2];             /* (matrices, d, d) by side; NULL: there is none       */
    real *basis[2];              /* likewise; row i is eigenvector i.  The identity at first: where
                                  * the first decomposition fails, that is AdamW         */
};

/* What one refresh could not do. */
struct soap_trouble {
    int kept;                    /* bases that stay as they were                        */
    int info;                    /* of the last of them, as kernels/lapack.h returns it */
};

/* factors = beta factors + (1 - beta) (g g', g' g), of the gradient g (matrices, rows, cols).
 * returns how many factors were left as they were, because they would have become non-finite.
 * Local; threads inside.  work: factor_work() reals. */
int soap_factors(struct soap_state *s, const struct factored *f, double beta, const real *g,
                 real *work);

/* g (matrices, rows, cols) [in: gradient, scaled; out: direction]; moments move.  As
 * soap_factors(). */
void soap_direction(struct soap_state *s, const struct factored *f, const struct adam_rates *a,
                    real *g, real *work);

/* Its parts, for matrices that are in pieces: the first moments m from g; then, of a rotated g, v
 * and x [in: rotated m, out: rotated direction]. */
void soap_move_m(const struct adam_rates *a, real *m, const real *g, int64_t n);
void soap_divide(const struct adam_rates *a, real *x, real *v, const real *g, int64_t n);

/* Bases of matrix i: all eigenvectors at first, else a power step.  Local, no threads. */
void soap_refresh(struct soap_state *s, const struct factored *f, int i, int first,
                  struct soap_trouble *trouble);

/* w -= lr (direction + decay w), n elements. */
void soap_apply(const struct adam_rates *a, real *w, const real *direction, int64_t n);

#endif
