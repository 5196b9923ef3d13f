/* block.h -- one block of the model: optional convolution, sequence layer,
 * feed-forward, each behind an RMSNorm and added to the residual stream.
 *
 *     x1 = x  + conv(RMSNorm(x))         if pre_conv
 *     x2 = x1 + layer(RMSNorm(x1))
 *     y  = x2 + W2 (silu(W1 n) * W3 n),  n = RMSNorm(x2)              [E6]
 *
 * The carry of a block is the convolution's halo (the last conv_width - 1
 * normalised inputs), then the sequence layer's carry.  Without a feed-forward (E = 0) y is x2.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "src/layers/layer.h"

struct block {
    const struct layer *layer;
    struct dims d;                /* the model's, trimmed to this block's layer: what it sees */
    int i_conv, i_layer, i_ffn;   /* first parameter of each part, in the table; -1: not there */
};

/* Append the parameters of a block, named with a prefix as "model.layers.3."; b [out].  d: its own
 * dims, copied.  All calls below are on these: they set the d of a layer_call. */
void block_params(struct block *b, struct param_table *t, const struct dims *d,
                  const struct layer *layer, const char *prefix);

/* Has the block's layer an inner loop, and so inner losses? */
static inline int block_has_inner(const struct block *b)
{
    return (b->layer->has & HAS_INNER) != 0;
}

/* Index of the block's first parameter; its parameters follow each other. */
int block_first(const struct block *b);

/* Reals of one sequence's carry. */
int64_t block_carry_reals(const struct block *b);

/* Reals of one sequence's past, a token: of all groups of heads. */
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

struct block_tape { struct tape own, layer; };

/* As in struct layer. */
void block_carry_start(const struct block *b, struct layer_call *c, real *carry);
void block_carry_start_backward(const struct block *b, struct layer_call *c, const real *dcarry);
void block_tape(const struct block *b, struct block_tape *t, struct arena *a,
                const struct layer_call *c);
void block_work(const struct block *b, struct block_tape *w, struct arena *a,
                const struct layer_call *c, int backward);

/* y (N,C) set; y may not be x. */
void block_forward(const struct block *b, struct layer_call *c, real *y, const real *x,
                   real *carry, struct block_tape *t, struct block_tape *w);

/* dx (N,C) [in,out]: gradient of y -> gradient of x. */
void block_backward(const struct block *b, struct layer_call *c, real *dx, const real *x,
                    real *dcarry, struct block_tape *t, struct block_tape *w);

/* --- in parts, for heads mode along S (layer.h) --------------------------------
 *
 *   forward :  normalise | halo | project | halo | mix ==> (inner) ==> finish
 *   backward:  finish ==> (inner) ==> mix | halo | project | halo | normalise
 *
 * Of a layer with a split.  carry, dcarry: of one layer; halos at their places in them. */

/* Arrays of own tokens: t without what `passing` has, which slices share. */
void block_split_tape(const struct block *b, struct block_tape *t, struct arena *a,
                      const struct layer_call *c);
void block_held(const struct block *b, struct block_tape *w, struct arena *a,
                const struct layer_call *c);

void block_normalise(const struct block *b, struct layer_call *c, const real *x,
                     struct block_tape *t);
void block_project(const struct block *b, struct layer_call *c, const real *x, real *carry,
                   struct block_tape *t);
void block_mix(const struct block *b, struct layer_call *c, real *carry, struct block_tape *t);
void block_append(const struct block *b, struct layer_call *c, const struct head_share *s);
void block_inner(const struct block *b, struct layer_call *c, const struct head_share *s,
                 real *carry, struct block_tape *w);
void block_finish(const struct block *b, struct layer_call *c, real *y, const real *x,
                  struct block_tape *t);

/* dx as in block_backward(): moved by finish, project and normalise. */
void block_finish_backward(const struct block *b, struct layer_call *c, real *dx,
                           struct block_tape *t, struct block_tape *w);
void block_inner_backward(const struct block *b, struct layer_call *c, const struct head_share *s,
                          real *dcarry, struct block_tape *w);
void block_mix_backward(const struct block *b, struct layer_call *c, struct block_tape *t,
                        struct block_tape *w);
void block_project_backward(const struct block *b, struct layer_call *c, real *dx, const real *x,
                            struct block_tape *t, struct block_tape *w);
void block_normalise_backward(const struct block *b, struct layer_call *c, real *dx,
                              const real *x, struct block_tape *t, struct block_tape *w);

/* Scan mode: of an affine middle, map (B, decays n, offsets n) composed with a slice, as in struct
 * layer_split; n: block_map_part() says it, and where a carry (B, carry_reals) has the state that
 * it is of, `stride` apart. */
void block_map_part(const struct block *b, int B, int64_t *offset, int64_t *n, int64_t *stride);
void block_map(const struct block *b, struct layer_call *c, real *map, struct block_tape *t,
               struct block_tape *w);
void block_map_backward(const struct block *b, struct layer_call *c, real *map,
                        struct block_tape *t, struct block_tape *w);

/* The middle of own tokens in one piece, from tape to tape. */
struct head_share block_all(const struct block *b, const struct block_tape *t,
                            const struct block_tape *w);

/* The halos: of the convolution in front, of the layer. */
enum block_halos { HALO_CONV, HALO_LAYER, HALOS };

/* Of B sequences: n reals each, from `offset` on in a carry and `stride` apart; rows (B,T,width)
 * whose last ones it is; its gradient as far as a slice gives it, `back_stride` apart. */
struct block_halo {
    int         width;
    int64_t     n, offset, stride, back_stride;
    const real *rows;
    real       *back;
};

/* t, w: of a slice.  returns 0: there is no such halo */
int block_halo(struct block_halo *h, const struct block *b, int B, int which,
               const struct block_tape *t, const struct block_tape *w);

/* The gradient of a halo through one slice, last slice first: dcarry [in,out], gradient of the
 * halo left behind -> of the one that came.  Between the backward parts that it stands between. */
void block_halo_backward(const struct block *b, struct layer_call *c, int which, real *dcarry,
                         struct block_tape *w);

#endif
