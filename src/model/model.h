/* SPDX-License-Identifier: Apache-2.0 */
/* model.h -- a whole language model: embedding, blocks, norm, head.
 *
 *   tokens -> embed -> block 0 -> ... -> block L-1 -> RMSNorm -> head -> logits
 *                       |  ^                 |  ^
 *                     carry in/out         carry in/out
 *
 * A block sees a slice of consecutive tokens and a carry (layers/layer.h), so
 * the same code reads a million tokens slice by slice, generates token by
 * token (slices of length 1) and trains.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#include "src/base/real.h"
#include "src/layers/block.h"
#include "src/layers/dims.h"
#include "src/param/bf16_weights.h"
#include "src/param/param.h"

struct proof_of;

struct model {
    struct dims         dims;
    struct param_table  params;
    real               *w;       /* (params.total); owned                     */
    int                 i_embed, i_norm, i_head;  /* in params; i_head == i_embed if tied */
    struct block       *blocks;  /* (L); owned                                */
    int                 kinds;   /* blocks l and l + kinds are alike; 1: all are */
    int64_t            *cost;    /* (L) of blocks that differ, for stages of equal cost
                                  * (plan/share.h); NULL: all are alike; owned */
    int                 has;     /* of HAS_: what any block's layer has       */
    struct bf16_weights *bf16;    /* bf16 products: their weights; NULL: fp32; owned */
};

/* Has any of its sequence layers inner losses?  block_has_inner(): has this one? */
static inline int model_has_inner(const struct model *m) { return (m->has & HAS_INNER) != 0; }

/* Check dims and lay out the parameters.  w is allocated, zero.
 * returns OK or ERR_CONFIG with a message; *out is NULL then */
int model_new(struct model **out, const struct dims *dims);
void model_free(struct model *m);

/* The model without weights (w is NULL): shapes, places, counts. */
int model_shape(struct model **out, const struct dims *dims);

/* The parameter table alone, for counts and budgets: nothing big is allocated.
 * Same checks as model_new(). */
int model_layout(struct param_table *t, const struct dims *dims);

/* Can this model compute a sequence of so many tokens?  Attention with a sliding window is computed
 * as attention to all tokens, which is the same only for sequences that are not longer than the
 * window. Everything that reads sequences calls this first.  Local.
 *
 * returns OK or ERR_CONFIG, reported */
int model_check_window(const struct dims *d, int64_t tokens);

/* Model FLOPs of a token, forward and backward: 6 per parameter that enters a
 * matrix product (the head once, tied or not; no look-up), and three times the
 * products of the sequence layer.  A mean over sequences of `context` tokens, of which each sees
 * those before it.  No credit for recomputation. */
double model_flops(const struct model *m, int context);

/* What a run of this model rests on (kernels/proof.h): the small products of its inner loops, of the
 * first block that has one, else of its first block.  d: dims that model_shape() takes.  Local.
 * p        [out] K, F and bf16; the rest is zero */
void model_proof(struct proof_of *p, const struct dims *d, int in_bf16);

/* From now on products take bf16 operands.  way_back: backward will come.  Before anything that
 * lays out memory for the model. */
void model_use_bf16(struct model *m, int way_back);

/* What bf16 operands are made of has changed, in whole parameters that lie in spans of w: call it
 * after every change of w, and before the first use.  Nothing in fp32. */
void model_weights_changed(struct model *m, const struct span *spans, int n);
void model_all_weights_changed(struct model *m);

/* Initial weights. */
void model_init(struct model *m, uint64_t seed);

/* --- reading: B sequences side by side ---------------------------------- */

/* The carries of all layers, and where we are. */
struct stream;

/* T_max: the longest slice that will be given at once. */
struct stream *stream_new(const struct model *m, int B, int T_max);

/* Bytes that it asks for when so many tokens of each sequence are read.  Local. */
int64_t stream_bytes(const struct model *m, int B, int T_max, int64_t tokens);
void stream_free(struct stream *s);

/* Back to the start of a sequence. */
void stream_reset(struct stream *s);

/* Tokens read so far (of each sequence). */
int64_t stream_pos(const struct stream *s);

/* What a caller may look at while a slice passes.  Any pointer may be NULL. */
struct stream_tap {
    void  *ctx;
    /* x (B,T,C): the residual stream after block i-1, i = 0..L (0: embedding). */
    void (*hidden)(void *ctx, int i, const real *x, int B, int T);
    /* Inner losses of layer l, each (n): mean over B, heads and tokens of mini-batch k of
     * the slice at the initial state, before and after the step (golden/README.md). */
    void (*inner)(void *ctx, int l, int n, const double *w0, const double *before,
                  const double *after);
};

/* Read T tokens of each sequence: tok (B,T) -> x (B,T,C), after the final norm.
 * Slices may have any length; the result is the same function however the
 * sequence is cut (bitwise when cut at multiples of K). */
void stream_read(struct stream *s, real *x, const int32_t *tok, int T,
                 const struct stream_tap *tap);

/* Read one token of each sequence in generation: tok (B) -> x (B,C).  What stream_read() computes,
 * but the products, bound by reading weights, are made in the order that is fastest then, and with
 * bf16 weights nothing else is rounded. */
void stream_next(struct stream *s, real *x, const int32_t *tok);

/* The carries of layer l, for probes (block_state); borrowed. */
const real *stream_carry(const struct stream *s, int l);

/* logits (n,V) = x (n,C) head'.  rows: room for x as bf16 (bf16_rows_size(n, C)); NULL if the model
 * has fp32 products. */
void model_logits(const struct model *m, real *logits, const real *x, int n, bf16 *rows);

/* logits (V) of the token that follows x (C), in generation's order (stream_next). */
void model_next_logits(const struct model *m, real *logits, const real *x);

/* nll[n] = -log softmax(x_n head')[target[n]], in chunks of rows: (n,V) is
 * never held.  Targets < 0 give 0. */
void model_nll(const struct model *m, double *nll, const real *x, const int32_t *target, int n);

/* Bytes that it asks for.  Local. */
int64_t model_nll_bytes(const struct model *m, int n);

#endif
