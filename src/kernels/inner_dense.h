/* SPDX-License-Identifier: Apache-2.0 */
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
 * Everything is contiguous; the caller's `work` is scratch.  Backward leaves the products
 * dW += x' dz to the caller: with their rows stacked they are one product, which reads and writes
 * dW once.
 */
#ifndef INNER_DENSE_H
#define INNER_DENSE_H

#include "src/kernels/inner_model.h"
#include "src/kernels/inner_vec.h"
#include "src/kernels/smm_bf16.h"

struct inner_dense {
    int         r, I, O;
    int         bias;       /* 0: b stays as it is, zero, and P = q x' */
    int         bf16;       /* products with weights, and steps, have bf16 operands */
    const real *tok, *lr;
};

/* The layer of a mini-batch that maps I to O, with the token's first rate. */
static inline struct inner_dense inner_dense_of(const struct inner_in *in, int I, int O)
{
    return (struct inner_dense){ in->r, I, O, !(in->without & WITHOUT_BIAS), in->bf16, in->tok,
                                 in->lr };
}

/* For the functions of an inner model, which are fp32: the same, with rate `rate`. */
static inline struct inner_dense inner_dense_exact(const struct inner_in *in, int I, int O,
                                                   int rate)
{
    struct inner_dense d = inner_dense_of(in, I, O);
    d.bf16 = 0;
    d.lr += (int64_t)rate * in->ld;
    return d;
}

/* The next n reals of a block, on a boundary. */
static inline real *inner_take(real **p, int64_t n)
{
    real *at = *p;
    *p += align_reals(n);
    return at;
}

/* A weight W (I,O) and its bias (O); unless NULL, T = W' (O,I) for z W', and in bf16 (smm_bf16.h)
 * instead rows for z W' and columns for x W. */
struct inner_weight {
    const real      *W, *b, *T;
    const bf16_word *rows, *columns;
};

enum inner_way { INNER_FORTH = 1, INNER_BACK = 2 };  /* x W; z W' */

/* Made for `ways`, a sum of these, in memory taken from p. */
struct inner_weight inner_weight(const real *W, const real *b, int ways,
                                 const struct inner_dense *d, real **p);
int64_t inner_weight_reals(int I, int O);

/* Reals of work that any of these needs, for up to K rows. */
int64_t inner_dense_work(int K, int I, int O);

/* z (r,O) = x W + b;  z = x W, or += ;  dx (r,I) = z W', or += . */
void inner_affine(real *z, const struct inner_weight *w, const real *x,
                  const struct inner_dense *d, real *work);
void inner_forth(real *z, const struct inner_weight *w, const real *x, int add,
                 const struct inner_dense *d, real *work);
void inner_back(real *dx, const struct inner_weight *w, const real *z, int add,
                const struct inner_dense *d, real *work);

/* to (I,O) = from + x' g with n rows each; from may be `to`, NULL: zeros. */
void inner_outer(real *to, const real *from, const real *x, const real *g, int n,
                 const struct inner_dense *d, real *work);

/* P (r,r), and y (r,O) from it. */
void inner_dense_overlap(real *P, const real *q, const real *x, const struct inner_dense *d,
                         real *work);
void inner_dense_forward(real *y, const real *P, const struct inner_weight *w, const real *q,
                         const real *g, const struct inner_dense *d, real *work);

/* to, to_b = W, b after the step [E15], also in place. */
void inner_dense_step(real *to, real *to_b, const struct inner_weight *w, const real *x,
                      const real *g, const struct inner_dense *d, real *work);

/* G, Gb = sum_j lr_j of rows' gradients: (lr x)' g, lr' g. */
void inner_dense_sum(real *G, real *Gb, const real *x, const real *g, const struct inner_dense *d,
                     real *work);

/* Backward of forward and step, except dW += q' dy and db += rows of dy (below). */
struct inner_dense_backward {
    const struct inner_weight *w, *dw;  /* the weight, and the gradient of the one after the step */
    const real *q, *x, *g, *P;          /* as in forward                                     */
    const real *dy;                     /* (r,O)                                             */
    real *dq, *dx;                      /* (r,I) set when `fresh`, else +=                   */
    real *dg;                           /* (r,O) set                                         */
    real *dlr, *dtok;                   /* (r) +=                                            */
    int   complete;                     /* 0/1 a step followed                               */
    int   fresh;
};
void inner_dense_backward(const struct inner_dense_backward *b, const struct inner_dense *d,
                          real *work);

/* db += rows of dy: of both. */
void inner_bias_backward(real *db, const real *dy, const struct inner_dense *d);

/* --- one token, the primal form ------------------------------------------- */

/* The layer that a token inside a mini-batch sees: W - tok G, b - tok Gb, where G, Gb are the sums
 * of lr x' g so far.  b and Gb NULL: no bias. */
struct inner_dense_moved { const real *W, *b, *G, *Gb; real tok; int I, O; };

/* y (O) [out] = q (W - tok G) + b - tok Gb.  work (O). */
void inner_dense_row(real *y, const real *q, const struct inner_dense_moved *m, real *work);

/* G += lr x' g, Gb += lr g. */
void inner_dense_row_grad(real *G, real *Gb, const real *x, const real *g, real lr, int I, int O);

/* --- for inner models, one layer at one state --------------------------------- */

/* A weight's gradient: (I,O), (O). */
struct inner_dense_grad { real *W, *b; };

/* Backward of inner_affine: dx (r,I) += dz W', dW += x' dz, db += rows of dz. */
void inner_affine_grads(real *dx, const struct inner_dense_grad *dw, const real *dz, const real *x,
                        const struct inner_weight *w, const struct inner_dense *d, real *work);

/* The rows' share of an inner gradient: G += x' diag(lr) g, Gb += lr' g. */
void inner_dense_add(const struct inner_dense_grad *G, const real *x, const real *g,
                     const struct inner_dense *d, real *work);

/* Backward of inner_dense_add, with the gradient D of G: dg (r,O) [out], dx (r,I), dlr (r) += . */
struct inner_dense_terms { real *dg, *dx, *dlr; };
void inner_dense_add_backward(const struct inner_dense_terms *to, const struct inner_weight *D,
                              const real *x, const real *g, const struct inner_dense *d,
                              real *work);

#endif
