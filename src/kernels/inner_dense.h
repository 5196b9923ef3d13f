/* inner_dense.h -- one dense layer of an inner model under a mini-batch of gradient steps.
 *
 * The layer maps I reals to O: x W + b, W (I,O), b (O).  In a mini-batch of r rows the keys' side
 * x (r,I) has inner gradients g (r,O), all taken at the state before; the queries' side q (r,I)
 * sees, in row i, the state after the steps of rows j <= i:
 *
 *     P  = q x' + 1                                    (r,r)
 *     M  = lower(eta * P),   eta_ij = tok_i lr_j        (r,r)          [E12]
 *     y  = q W + b - M g                               (r,O)          [E13]
 *     W' = W - (u * x)' g,  b' = b - u' g,  u_j = tok_{r-1} lr_j      [E15]
 *
 * lower() keeps the diagonal.  TTT-Linear is one such layer, TTT-MLP two with GELU between.
 * Everything is contiguous; the caller's `work` is scratch.
 */
#ifndef INNER_DENSE_H
#define INNER_DENSE_H

#include "src/kernels/inner.h"

struct inner_dense {
    int         r, I, O;
    int         bias;       /* 0: b stays as it is, zero, and P = q x' */
    const real *tok, *lr;
};

/* Reals of work that any of these needs, for up to K rows. */
int64_t inner_dense_work(int K, int I, int O);

/* z (r,O) = x W + b. */
void inner_affine(real *z, const real *W, const real *b, const real *x, const struct inner_dense *d);

/* Its backward: dx (r,I), dW, db += .  xT (I,r). */
void inner_affine_backward(real *dx, real *dW, real *db, const real *dz, const real *W,
                           const real *xT, const struct inner_dense *d, real *work);

/* y (r,O) and P (r,r) set. */
void inner_dense_forward(real *y, real *P, const real *W, const real *b, const real *q,
                         const real *xT, const real *g, const struct inner_dense *d, real *work);

/* complete: W, b move by the step [E15].  Else they are the inner gradient's, and
 * (lr x)' g, lr' g is added to them. */
void inner_dense_step(real *W, real *b, const real *xT, const real *g, int complete,
                      const struct inner_dense *d, real *work);

/* Backward of forward and step.  dy (r,O) is given; dq, dx (r,I) += ; dg (r,O) set; dW, db
 * [in,out]: gradient of the state after -> of the state before; dtok, dlr of o += . */
void inner_dense_backward(struct inner_grad *o, real *dq, real *dx, real *dg, real *dW, real *db,
                          const real *dy, const real *P, const real *W, const real *q,
                          const real *x, const real *g, int complete,
                          const struct inner_dense *d, real *work);

/* --- one token, the primal form ------------------------------------------- */

/* The state that a token at the end of a prefix sees is W - tok G, b - tok Gb, where G, Gb are the
 * sums of lr x' g so far: y (O) = q (W - tok G) + b - tok Gb. */
void inner_dense_row(real *y, const real *W, const real *b, const real *G, const real *Gb,
                     const real *q, real tok, int I, int O, real *work);

/* G += lr x' g, Gb += lr g. */
void inner_dense_row_grad(real *G, real *Gb, const real *x, const real *g, real lr, int I, int O);

/* --- small things that inner models share ---------------------------------- */

/* The next n reals of a block, on a boundary. */
static inline real *inner_take(real **p, int64_t n)
{
    real *at = *p;
    *p += align_reals(n);
    return at;
}

/* y += x;  y -= c x. */
void inner_add(real *y, const real *x, int64_t n);
void inner_step_by(real *y, const real *x, real c, int64_t n);

#endif
