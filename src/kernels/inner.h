/* inner.h -- the inner loop of a TTT layer: what is trained while the model reads.
 *
 * Two things make it, and each is a pair of files of its own:
 *
 *   inner model   what is trained: the parts of the state, its output for queries, and the gradient
 *                 of its inner loss for keys and values              (inner_linear.h, inner_mlp.h)
 *   inner step    the inner optimizer: how the state moves along that gradient, and what it keeps
 *                 from step to step, as momenta                      (inner_plain.h)
 *
 * A struct inner is one of each, and the layer "ttt_NAME" (layers/ttt.c) trains it.  For one head,
 * with S the state, m what the step keeps, and a mini-batch of r <= K tokens,
 *
 *     G_i = sum_{j<=i} lr_j d loss_j(S) / dS,   (S_i, m_i) = step(S, m; G_i, tok_i)        [E70]
 *     O_i = f(S_i; q_i)       output after the step: a token sees its own gradient
 *     O_i = f(S; q_i)         output before it                                             [E71]
 *     (S, m) <- (S_{K-1}, m_{K-1}) when the mini-batch is complete,
 *
 * with the rates of a token (Sun et al. 2024, section 2.7)
 *
 *     eta_ij = tok_i lr_j,   tok_i = max(0, 1/(i+1) + token_idx_i),
 *     lr_j = inner_lr sigmoid(gate_j) / F.                                                 [E8]
 *
 * inner.c does exactly this, for any model and any step (the composition).  A pair may have a
 * fused body, which must compute the same and is there because it is faster: the dual form of a
 * plain step replaces r states by products of the mini-batch (ttt_linear.h, ttt_mlp.h).
 * tests/unit/test_inner.c compares every fused body with the composition.
 *
 * To add an inner model or an inner step, write its pair of files, and a row of the table in
 * layers/ttt.c.  The layer then has its configuration, parameters, carry, grids, checkpoints,
 * generation and ablations.  Rules:
 *
 *   1. The state is one block of reals: the model's parts without gaps, each row by row, then the
 *      step's parts.  G lies in the same way as the model's parts.
 *   2. gradient() adds the tokens' contributions to G: the state is the same for all of them, so a
 *      mini-batch may come in pieces.
 *   3. Row i of the output depends on rows j <= i only.
 *   4. The backward functions are exact derivatives; tests/unit/test_inner_composed.c compares
 *      them with differences in double.
 *   5. The order of every sum depends on r and F only, so that bits depend on no grid.
 *   6. inner_in.without and inner_in.loss are obeyed: inner_out.h does so for the last norm, the
 *      residual and the loss, inner_dense.h for biases.
 *
 * Everything here is Local, for one head, on one thread.
 */
#ifndef INNER_H
#define INNER_H

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

/* --- inner model ------------------------------------------------------------------ */

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

/* --- inner step --------------------------------------------------------------------- */

/* What a step moves the state by: the sums over the mini-batch's first `tokens` tokens. */
struct inner_move {
    const struct inner_model *model;
    int         F, tokens;
    real        tok;            /* tok_i of the last of them       */
    const real *G;              /* (model's parts)                 */
    const real *sums;           /* (step's rates) sums of the tokens' rates of the step's own */
};

struct inner_move_grad { real *dG, *dsums, *dtok; };  /* each += */

struct inner_step {
    const char *name;
    int rates;              /* numbers of a token that it takes for itself, after the model's */

    /* Part i of what it keeps from step to step, INNER_ZERO; NULL: nothing. */
    int (*part)(const struct inner_model *m, int i, int F, struct inner_part *part);
    int64_t (*work_reals)(const struct inner_model *m, int F);  /* NULL: none */

    /* next (state) [out] = the state after a step from `state`: both have the model's parts and
     * then the step's; they are different blocks.
     * Backward, with the gradient dnext: dstate and d += . */
    void (*move)(real *next, const real *state, const struct inner_move *by, real *work);
    void (*move_backward)(real *dstate, struct inner_move_grad *d, const real *dnext,
                          const real *state, const struct inner_move *by, real *work);
};

/* --- both --------------------------------------------------------------------------- */

/* What forward gives.  NULL: not wanted (except O). */
struct inner_result {
    real   *O;       /* (r,F)                                                                */
    real   *next;    /* (state) after a complete mini-batch; may be the state before         */
    real   *igrad;   /* (sum) G, then the sums of the step's rates: what the next token of an
                      * unfinished mini-batch continues from                                 */
    real   *kept;    /* (kept) small results that cost much, for backward                    */
    double *loss;    /* the sum of the rows' losses at the state before                      */
};

/* What backward has of a mini-batch. */
struct inner_tape {
    const real *state;   /* (state) before it                                                */
    const real *kept;    /* (kept)                                                           */
    real       *saved;   /* (saved) from replay to backward, which uses it up                */
};

/* A faster body for a model with one certain step; in is a mini-batch from its first row on. */
struct inner_fused {
    int64_t (*kept_reals)(int K, int F);
    int64_t (*saved_reals)(int K, int F);
    int64_t (*work_reals)(int K, int F);
    void (*forward)(const struct inner_result *to, const real *state, const struct inner_in *in,
                    real *work);
    void (*replay)(const struct inner_tape *t, real *next, const struct inner_in *in, real *work);
    void (*backward)(struct inner_grad *g, real *dstate, const real *dO,
                     const struct inner_tape *t, const struct inner_in *in, real *work);
    void (*token)(real *O, real *state, real *igrad, const struct inner_in *in, real *work);
};

struct inner {
    const char               *name;
    const struct inner_model *model;
    const struct inner_step  *step;
    const struct inner_fused *fused;          /* NULL: the composition                       */
    enum inner_loss           loss;
    int                       output_before;  /* 0/1 O sees the state before the step        */
};

/* Part i of the state, the model's and then the step's; returns 0 after the last. */
int inner_part(const struct inner *f, int i, int F, struct inner_part *part);

/* Rates of a token. */
static inline int inner_token_rates(const struct inner *f)
{
    return f->model->rates + f->step->rates;
}

/* Reals of the blocks above, of mini-batches of up to K tokens. */
struct inner_reals { int64_t state, sum, kept, saved, work; };
struct inner_reals inner_reals(const struct inner *f, int K, int F);

/* A mini-batch from its first row on. */
void inner_batch_forward(const struct inner *f, const struct inner_result *to, const real *state,
                   const struct inner_in *in, real *work);

/* What backward needs, and next (NULL: not wanted), equal to forward's to the bit. */
void inner_batch_replay(const struct inner *f, const struct inner_tape *t, real *next,
                  const struct inner_in *in, real *work);

/* dstate [in,out] (state): gradient of the state after -> of the state before. */
void inner_batch_backward(const struct inner *f, struct inner_grad *g, real *dstate, const real *dO,
                    const struct inner_tape *t, const struct inner_in *in, real *work);

/* One token (r = 1) anywhere in a mini-batch.  igrad [in,out] grows by its gradient; when it
 * completes the mini-batch, the state [in,out] moves and igrad becomes zero. */
void inner_token(const struct inner *f, real *O, real *state, real *igrad,
                 const struct inner_in *in, real *work);

#endif
