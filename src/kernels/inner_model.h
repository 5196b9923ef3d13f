/* SPDX-License-Identifier: Apache-2.0 */
/* inner_model.h -- the inner model of a TTT layer: what is trained while the model reads.
 *
 * It is a function f of a token with a state, and a loss that its state is to lower.  inner_step.h
 * has how the state moves, inner.h how the two make an inner loop, with all symbols.
 *
 * To add an inner model, write a pair of files like inner_linear.{h,c}, and a row of the table in
 * layers/ttt_inner.h.  The layer "ttt_NAME" then has its configuration, parameters, carry, grids,
 * checkpoints, generation and ablations.  Rules:
 *
 *   1. The state is one block of reals: the parts without gaps, each row by row.  A gradient of the
 *      state is a block like it.
 *   2. gradient() adds the tokens' contributions to G: the state is the same for all of them, so a
 *      mini-batch may come in pieces.
 *   3. Rows are independent of each other.  The order of every sum depends on r and F only, so that
 *      bits depend on no grid.
 *   4. The backward functions are exact derivatives; tests/unit/test_inner_composed.c compares them
 *      with differences in double.
 *   5. inner_in.without and inner_in.loss are obeyed: inner_out.h does so for the last norm, the
 *      residual and the loss, inner_dense.h for biases.
 *
 * Everything here is Local, for one head, on one thread.
 */
#ifndef INNER_MODEL_H
#define INNER_MODEL_H

#include "src/base/real.h"
#include "src/kernels/without.h"

enum inner_loss {
    INNER_REGRESSION,  /* 1/2 |f(k) - v|^2 */
    INNER_DOT          /* -<f(k), v>       */
};

/* Rows of one mini-batch. */
struct inner_in {
    const real *Q, *X, *V;      /* (r,F) queries and keys after RoPE, values                 */
    const real *lr;             /* (rates,ld): rate c of row j is lr[c * ld + j]; those of the
                                 * model come first, then those of the step                  */
    const real *tok;            /* (r)                                                       */
    const real *gamma, *beta;   /* (F) inner LayerNorm; NULL without it                      */
    int         r, F, ld;
    int         at;             /* place of row 0 in its mini-batch                          */
    int         complete;       /* 0/1 the last row ends its mini-batch                      */
    int         without;        /* set of enum without                                       */
    enum inner_loss loss;
    int         bf16;           /* 0/1 fused bodies: products with bf16 operands (r > 1)     */
    real        eps;
};

/* Gradients, each += into arrays of the shapes above; dgamma and dbeta may be NULL like gamma. */
struct inner_grad {
    real *dQ, *dX, *dV, *dlr, *dtok, *dgamma, *dbeta;
};

enum inner_start {
    INNER_LEARNED,      /* begins as a parameter of the outer model, (rows, cols) for each head */
    INNER_LEARNED_BIAS, /* the same; not there with WITHOUT_BIAS                                */
    INNER_ZERO          /* begins as zero, and is not learned                                   */
};

/* A part of the state.  Its name, without a dot, is that of the parameter. */
#define INNER_NAME 32
struct inner_part { char name[INNER_NAME]; int rows, cols; enum inner_start start; };

struct inner_model {
    const char *name;
    int learns_from_zero;   /* 0/1 a gradient step from the state zero leads away from it   */
    int rates;              /* learning rates of a token, at least 1                        */

    /* Part i of the state of a head of width F; returns 0 after the last. */
    int (*part)(int i, int F, struct inner_part *part);

    /* Reals of scratch that the functions below need for r rows. */
    int64_t (*work_reals)(int r, int F);

    /* O (r,F) [out] = f(state; Q).
     * Backward: dstate (model's parts) and g += ; it computes the forward again. */
    void (*output)(real *O, const real *state, const struct inner_in *in, real *work);
    void (*output_backward)(struct inner_grad *g, real *dstate, const real *dO, const real *state,
                            const struct inner_in *in, real *work);

    /* G (model's parts) += sum_j lr_j d loss_j / d state, of rows X, V.
     * Backward, with the gradient dG of G: dstate and g += . */
    void (*gradient)(real *G, const real *state, const struct inner_in *in, real *work);
    void (*gradient_backward)(struct inner_grad *g, real *dstate, const real *dG,
                              const real *state, const struct inner_in *in, real *work);

    /* The sum of the rows' losses. */
    double (*loss)(const real *state, const struct inner_in *in, real *work);

    /* Model FLOPs of a token in forward: products only. */
    double (*flops)(int K, int F);
};

/* Reals of the model's parts. */
int64_t inner_model_reals(const struct inner_model *m, int F);

#endif
