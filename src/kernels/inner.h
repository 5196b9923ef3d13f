/* inner.h -- the inner model of a TTT layer: what is trained while reading.
 *
 * A TTT layer (layers/ttt.c) is the same for every inner model f: projections,
 * convolutions, RoPE, gate, normalisation.  What differs is one row of this
 * table: the state of a head, one mini-batch forward (dual form), its backward,
 * and one token (primal form).
 *
 * To add an inner model, write a pair beside ttt_linear.{h,c} and add its row to the table in
 * layers/ttt.c.  The layer "ttt_NAME" then has its configuration, its parameters named as part()
 * says, carry, grids, checkpoints, generation and ablations.  What it has to keep:
 *
 *   1. The state is one block of reals, its parts one behind the other without gaps, matrices row
 *      by row; a part of one row is a bias (WITHOUT_BIAS: not learned, and never moves).
 *   2. forward() moves the state by tok[r-1] times what it puts into igrad: step() must reach the
 *      same state token by token (tests/unit/test_inner.c compares).
 *   3. forward() reads V, X, Q of rows j <= i for row i, so that a slice may end anywhere.
 *   4. backward() is the derivative of forward(), the gradient step included; test_model.c
 *      compares with differences in double once the layer's name is in its list.
 *   5. The order of every sum depends on r and F only.
 *   6. inner.without is obeyed: inner_out.h does so for the norm and the residual.
 *
 * Everything here is for one head.  Rows are tokens of one mini-batch, r <= K of
 * them; row i sees the gradients of rows j <= i through
 *
 *     eta_ij = tok_i lr_j,   tok_i = max(0, 1/(i+1) + token_idx_i),
 *     lr_j = inner_lr sigmoid(gate_j) / F.                            [E8]
 *
 * What f does behind its last dense layer is in inner_out.h, one dense layer under a mini-batch of
 * steps in inner_dense.h: most inner models are made of these two.
 */
#ifndef INNER_H
#define INNER_H

#include "src/base/real.h"
#include "src/kernels/without.h"

struct inner_in {
    const real *Q, *X, *V;      /* (r,F) queries and keys after RoPE, values */
    const real *lr;             /* (r)                                       */
    const real *tok;            /* (r)                                       */
    const real *gamma, *beta;   /* (F) inner LayerNorm; NULL without it      */
    int         r, F;
    int         without;        /* set of enum without                       */
    int         bf16;           /* 0/1 products of mini-batches with bf16 operands; step() has
                                 * fp32 ones                                  */
    real        eps;
};

/* Gradients, each += into the caller's arrays of the shapes above. */
struct inner_grad {
    real *dQ, *dX, *dV, *dlr, *dtok, *dgamma, *dbeta;
};

struct inner {
    const char *name;

    /* 1 if a gradient step from the state zero leads away from it. */
    int learns_from_zero;

    /* Part i of the state of a head of width F, in order; returns 0 past the
     * last.  Names are those of the parameters that hold the initial state. */
    int (*part)(int i, int F, const char **name, int *rows, int *cols);

    int64_t (*state_reals)(int F);           /* S                              */
    int64_t (*kept_reals)(int K, int F);     /* of one mini-batch, from forward on     */
    int64_t (*saved_reals)(int K, int F);    /* of one mini-batch, for backward        */
    int64_t (*work_reals)(int K, int F);     /* scratch of any call                    */

    /* One mini-batch in the dual form.
     *
     * O      [out]     (r,F)
     * next   [out]     (S) the state after the step; may be `state`; NULL: not wanted
     * igrad  [out]     (S) sum_j lr_j g_j, of a short last mini-batch: what a decoder goes on
     *                  from; NULL: not wanted
     * kept   [out]     small results that cost much, for replay; NULL: not wanted
     * loss   [out]     sum over rows of 1/2 |LN(f(X)) - (V - X)|^2 at `state`; NULL: not wanted */
    void (*forward)(real *O, real *next, real *igrad, const real *state, const struct inner_in *in,
                    real *kept, real *work, double *loss);

    /* The same again for backward: saved set, next as above, equal to forward's to the bit. */
    void (*replay)(real *saved, real *next, const real *state, const real *kept,
                   const struct inner_in *in, real *work);

    /* saved [in,out]: no replay, no second backward from it.
     * dstate [in,out] (S): gradient of the state after -> of the state before. */
    void (*backward)(struct inner_grad *g, real *dstate, const real *dO, real *saved,
                     const real *state, const real *kept, const struct inner_in *in, int complete,
                     real *work);

    /* One token (r = 1) in the primal form.  igrad [in,out] grows by its gradient;
     * when `last`, the state moves and igrad becomes zero. */
    void (*step)(real *O, real *state, real *igrad, const struct inner_in *in, int last,
                 real *work);

    /* The loss of `forward`. */
    double (*loss)(const real *state, const struct inner_in *in, real *work);

    /* Model FLOPs of a token in forward: products only. */
    double (*flops)(int K, int F);
};

#endif
