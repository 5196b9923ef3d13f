/* SPDX-License-Identifier: Apache-2.0 */
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
 * tests/unit/test_inner.c compares every fused body with the composition.  A row of the table in
 * layers/ttt_inner.h makes a layer of a pair.
 *
 * Everything here is Local, for one head, on one thread.
 */
#ifndef INNER_H
#define INNER_H

#include "src/kernels/inner_model.h"
#include "src/kernels/inner_step.h"

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
