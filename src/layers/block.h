/* SPDX-License-Identifier: Apache-2.0 */
/* block.h -- one block of the model: optional convolution, sequence layer, feed-forward, each with
 * an RMSNorm in front and added to the residual stream.
 *
 *     x1 = x  + conv(RMSNorm(x))         if pre_conv
 *     x2 = x1 + layer(RMSNorm(x1))
 *     y  = x2 + W2 (silu(W1 n) * W3 n),  n = RMSNorm(x2)              [E6]
 *
 * The carry of a block is the convolution's halo (the last conv_width - 1 normalised inputs), then
 * the sequence layer's carry.  Without a feed-forward (E = 0) y is x2.
 *
 * Everything here is local.  Blocks of a model may differ: all sizes and calls are those of the
 * block's own dims.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "src/layers/layer.h"

struct block {
    const struct layer *layer;
    struct dims d;                /* the model's, trimmed to this block's layer */
    int i_conv, i_layer, i_ffn;   /* first parameter of each part, in the table; -1: not there */
};

/* Append the parameters of a block, named with a prefix as "model.layers.3."; b [out].  d: its own
 * dims, copied. */
void block_params(struct block *b, struct param_table *t, const struct dims *d,
                  const struct layer *layer, const char *prefix);

/* Has the block's layer an inner loop, and so inner losses? */
static inline int block_has_inner(const struct block *b)
{
    return (b->layer->has & HAS_INNER) != 0;
}

/* Index of the block's first parameter; its parameters follow each other. */
int block_first(const struct block *b);

/* Tokens of a chunk (struct layer). */
int block_chunk(const struct block *b);

/* --- carry ---------------------------------------------------------------- */

/* Reals of one sequence's carry. */
int64_t block_carry_reals(const struct block *b);

/* Reals of a row of the past, of a token and group of heads; and of all groups.  0: no past. */
int64_t block_past_row(const struct block *b);
int64_t block_past_reals(const struct block *b);

/* What crosses to the next rank of the carries (B, carry_reals) of B sequences, as in struct
 * layer. */
int block_carry_part(const struct block *b, int B, int i, int64_t *offset, int64_t *n);

/* Part i of the carries (B, carry_reals), for probes: "W1", "b1", ... the inner state (H, rows,
 * cols), "igrad.W1", ... the inner gradient of an unfinished mini-batch, the same shape,
 * "conv_state.X" the last inputs of a convolution, oldest first (1, W-1, C).  Matrix (b, j)
 * lies in one piece at v + b * stride[0] + j * stride[1]; carry NULL: v is NULL.
 * returns 0 past the last */
int block_state(const struct block *b, int B, const real *carry, int i, const char **name,
                int shape[3], const real **v, int64_t stride[2]);

/* The carry before the first token, and its gradient back to parameters. */
void block_carry_start(const struct block *b, struct layer_call *c, real *carry);
void block_carry_start_backward(const struct block *b, struct layer_call *c, const real *dcarry);

/* Where the state that scan mode composes is in carries (B, carry_reals): n reals of each sequence,
 * from `offset` on, `stride` apart. */
void block_map_part(const struct block *b, int B, int64_t *offset, int64_t *n, int64_t *stride);

/* --- arrays --------------------------------------------------------------- */

#define BLOCK_ARRAYS 18
struct block_arrays { real *own[BLOCK_ARRAYS], *layer[LAYER_ARRAYS]; };

/* Lay out the arrays of a slice that live as `lives` says (a set of enum life), for calls like c
 * (struct layer.arrays); pointers to the others stay. */
void block_lay_out(const struct block *b, struct block_arrays *v, struct arena *a,
                   const struct layer_call *c, int lives);

/* Of a slice that is treated by one process alone: what is kept of it, and what slices share. */
int block_lives_slice(int backward);
int block_lives_shared(int backward);

/* Reals that inner keeps for the backward of a call like c, for H groups of heads. */
int64_t block_kept_reals(const struct block *b, const struct layer_call *c, int H);

/* --- forward and backward --------------------------------------------------- */

/* A slice: call, arrays (all of them laid out), input x (N,C) and output y (N,C), which may not be
 * x.  dx (N,C) [in,out]: gradient of y -> gradient of x. */
struct slice {
    struct layer_call    c;
    struct block_arrays *v;
    const real          *x;
    real                *y, *dx;
};

/* The halos: of the convolution in front, of the layer. */
enum block_halos { HALO_CONV, HALO_LAYER, HALOS };

/* Where several processes work on a block together, each with some slices of a sequence: what
 * happens between the parts.  back: in backward.  Those that are NULL do nothing. */
struct block_hooks {
    void *ctx;
    void (*begin)(void *ctx, int back);
    /* The halo that comes to our slices is put into the carry, the one that they leave is sent.
     * back: the same with gradients, around block_halo_backward(), which it calls.  Mandatory. */
    void (*halo)(void *ctx, int which, int back);
    /* What inner (its backward) reads of slice j is there. */
    void (*give)(void *ctx, int j, int back);
    /* All slices have been given. */
    void (*middle)(void *ctx, int back);
    /* Put what inner (its backward) wrote into the arrays of slice j; in backward up to two times.
     * NULL: inner works on our own slices, here. */
    void (*take)(void *ctx, int j, int back);
    void (*end)(void *ctx, int back);
};

/* n slices that follow each other in their sequences.  carry, dcarry [in,out]: (B, carry_reals),
 * before the first and after the last of them; hooks NULL: no other process. */
void block_forward(const struct block *b, struct slice *s, int n, real *carry,
                   const struct block_hooks *hooks);
void block_backward(const struct block *b, struct slice *s, int n, real *dcarry,
                    const struct block_hooks *hooks);

/* --- for hooks ------------------------------------------------------------- */

/* inner, its backward and the append of a share of heads; v: arrays with the scratch. */
void block_inner(const struct block *b, struct layer_call *c, struct block_arrays *v,
                 const struct head_share *s, real *carry);
void block_inner_backward(const struct block *b, struct layer_call *c, struct block_arrays *v,
                          const struct head_share *s, real *dcarry);
void block_append(const struct block *b, struct layer_call *c, struct block_arrays *v,
                  const struct head_share *s);

/* Scan mode: map (B, decays n, offsets n) composed with a slice, as in struct layer. */
void block_map(const struct block *b, struct slice *s, real *map, int back);

/* A halo of B sequences: n reals each, from `offset` on in a carry and `stride` apart; rows
 * (B,T,width) whose last ones it is, and their gradient; the halo's gradient as far as a slice
 * gives it, `back_stride` apart. */
struct block_halo {
    int         width;
    int64_t     n, offset, stride, back_stride;
    const real *rows;
    real       *drows, *back;
};

/* v: of a slice.  returns 0: there is no such halo */
int block_halo(struct block_halo *h, const struct block *b, int B, int which,
               const struct block_arrays *v);

/* The gradient of a halo through n slices, last one first.  Local.
 *
 * dcarry   [in,out] gradient of the halo after the last slice -> of the one before the first */
void block_halo_backward(const struct block *b, struct slice *s, int n, int which, real *dcarry);

#endif
