/* SPDX-License-Identifier: Apache-2.0 */
/* ttt_heads.h -- the inner loop of a TTT layer over all heads of a slice.
 *
 * One task is one head of one sequence: it goes through the slice in mini-batches of K tokens, one
 * call each.  A slice that starts inside a mini-batch is read token by token up to the boundary.
 *
 *     state   S0 --mb 0--> S1 --mb 1--> S2 ...
 *     tape    S0 kept             S_group kept ...      and what each mini-batch keeps
 *
 * Backward replays a group of mini-batches from its kept state and goes through it in reverse.
 *
 * In a carry, a head has its state (kernels/inner.h: the model's parts, then the step's) and, on
 * the next boundary, the sums of an unfinished mini-batch (igrad).
 */
#ifndef TTT_HEADS_H
#define TTT_HEADS_H

#include "src/kernels/inner.h"
#include "src/layers/layer.h"

#define HEADS_MAX_GROUP 64  /* largest train.inner_group */

struct heads {
    const struct inner *inner;
    const struct layer_call *call;
    int         H, h0;            /* heads here, and the number of the first one: all of them, or a
                                   * rank's share when heads are split                         */
    const real *q, *k, *v;        /* (N,H*F) before RoPE                         */
    const real *sig;              /* (N,H,rates) sigmoids of the gates of [E8]   */
    const real *tok;              /* (K) of [E8]                                 */
    const real *rope;             /* (K,F): cos (F/2), then sin (F/2)            */
    const real *gamma, *beta;     /* (.,F) of head h0 and on; NULL without norm  */
    const real *init;             /* (H,heads_state()) initial states, for stats; or NULL */
    real       *carry;            /* (B, carry): states at `offset`              */
    int64_t     carry_reals, offset;
    real       *kept;             /* (B,H,heads_kept()) on the tape, or NULL     */
    real       *scratch;          /* (threads, heads_scratch())                  */
};

/* Gradients: dq, dk, dv (N,H*F) and dsig (N,H,rates) set; small (B,H,2F+K aligned) += :
 * dgamma, dbeta, dtok; the state's part of dcarry [in,out]. */
struct heads_grad { real *dq, *dk, *dv, *dsig, *small, *dcarry; };

/* Reals of a head's state up to the next boundary, and from head to head in a carry. */
int64_t heads_state(const struct inner *f, int F);
int64_t heads_stride(const struct inner *f, int F);

/* Mini-batches, and groups of them, in a slice of T tokens. */
int heads_batches(int T, int K);
int heads_groups(int T, int K, int group);

/* Reals on the tape of one head: the states that groups begin with, then what mini-batches keep. */
int64_t heads_kept(const struct inner *f, int T, int K, int F, int group);

/* Reals of `small` for one head, and of one thread's scratch for slices of up to T tokens. */
int64_t heads_small(int K, int F);
int64_t heads_scratch(const struct inner *f, int T, int K, int F, int group, int backward);

/* Fill rope (K,F) for positions [0, n), and tok (K); token_idx NULL: zeros. */
void heads_rope(real *rope, int n, int F, double theta);
void heads_tok(real *tok, const real *token_idx, int K, int without);

/* o (N,H*F) set; carry [in,out]. */
void heads_forward(const struct heads *s, real *o);

/* The slice must start on a mini-batch boundary. */
void heads_backward(const struct heads *s, struct heads_grad *g, const real *dO);

#endif
