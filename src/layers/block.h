/* block.h -- one block of the model: optional convolution, sequence layer,
 * feed-forward, each behind an RMSNorm and added to the residual stream.
 *
 *     x1 = x  + conv(RMSNorm(x))         if pre_conv
 *     x2 = x1 + layer(RMSNorm(x1))
 *     y  = x2 + W2 (silu(W1 n) * W3 n),  n = RMSNorm(x2)              [E6]
 *
 * The carry of a block is the convolution's halo (the last conv_width - 1
 * normalised inputs), then the sequence layer's carry.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "src/layers/layer.h"

struct block {
    const struct layer *layer;
    int i_conv, i_layer, i_ffn;   /* first parameter of each part, in the table */
};

/* Append the parameters of block l; b [out]. */
void block_params(struct block *b, struct param_table *t, const struct dims *d,
                  const struct layer *layer, int l);

/* Index of the block's first parameter; its parameters follow each other. */
int block_first(const struct block *b);

/* Reals of one sequence's carry. */
int64_t block_carry_reals(const struct block *b, const struct dims *d);

/* What crosses to the next rank of the carries (B, carry_reals) of B sequences, as in struct
 * layer. */
int block_carry_part(const struct block *b, const struct dims *d, int B, int i, int64_t *offset,
                     int64_t *n);

struct block_tape { struct tape own, layer; };

/* As in struct layer. */
void block_carry_start(const struct block *b, struct layer_call *c, real *carry);
void block_carry_start_backward(const struct block *b, struct layer_call *c, const real *dcarry);
void block_tape(const struct block *b, struct block_tape *t, struct arena *a,
                const struct dims *d, int B, int T, int group);
void block_work(const struct block *b, struct block_tape *w, struct arena *a,
                const struct dims *d, int B, int T, int group, int backward);

/* y (N,C) set; y may not be x. */
void block_forward(const struct block *b, struct layer_call *c, real *y, const real *x,
                   real *carry, struct block_tape *t, struct block_tape *w);

/* dx (N,C) [in,out]: gradient of y -> gradient of x. */
void block_backward(const struct block *b, struct layer_call *c, real *dx, const real *x,
                    real *dcarry, struct block_tape *t, struct block_tape *w);

#endif
