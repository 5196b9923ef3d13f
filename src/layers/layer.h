/* SPDX-License-Identifier: Apache-2.0 */
/* layer.h -- what a sequence layer is: a function of a slice and a carry, written in parts.
 *
 *     forward :  (h[slice], carry_in)          -> (y[slice], carry_out), tape
 *     backward:  (dy[slice], dcarry_out, tape) -> (dh[slice], dcarry_in), dparams
 *
 * The carry is all that later tokens need of earlier ones.  The same function then gives training,
 * sequence parallelism, evaluation in constant memory and generation (slices of length 1).
 *
 * The parts, in the order of forward.  Each is a function of struct layer, and all of them except
 * inner and its backward may be missing:
 *
 *      project    the array whose last rows later slices need: a convolution's input
 *      mix        everything else that treats tokens with all heads: projections, convolutions
 *      inner      what happens over time: an inner loop, attention, a scan.  It reads the arrays
 *                 in[] and writes the array out, and it treats heads (or groups of heads) apart
 *      finish     from out to y: norm, gate, output projection
 *
 * Backward has finish, inner, mix and project in this order.  block_run.c composes the parts, once
 * for all modes.  Where the ranks along S work on one layer together, it puts their messages in
 * between:
 *
 *      own tokens, all heads            all tokens, own heads         own tokens, all heads
 *      h -> project | halo | mix -> in[]  ==>  inner: in[] -> out  ==>  out -> finish -> y
 *
 * ==> is an exchange between all ranks of the sequence (heads mode), or a scan over the ranks (scan
 * mode); the halo comes from the rank before.  A layer without heads is one group of heads.
 *
 * The words carry, halo, past, tape and scratch are defined in layer_call.h.
 *
 * To add a layer, write its pair of files here, and add its row to the table in layers.c.
 * Parameters, checkpoints, configuration, memory, exact reduction, grids, heads mode, generation
 * and evaluation follow from it:
 *
 *   1. A struct layer, below.  mamba.c has a carry and a scan, attention_layer.c a past, ttt.c a
 *      carry that is made of parameters.
 *   2. `family`: one of family.h.  A layer whose public models have other names gets a family
 *      there, and a table of their config.json keys in store/hf_config.c; without it there is no
 *      import and export, which is reported.
 *   3. `has`: which dims it uses.  A size that no layer had before is a field of dims.h, a row of
 *      dims_table.c and a row of conf/conf_table.c.
 *   4. Matrices that a product reads are added by param_add_product(), and every sum over tokens is
 *      of one sequence's slice and goes to grad_add(): so its bits depend on no grid.
 *   5. Its name goes into the lists of tests/unit/test_model.c (gradients are derivatives, slices
 *      are the whole, batches change no bit), and a file of its own compares it with its
 *      definition.
 *
 * How to add an inner model or an inner step of a TTT layer: kernels/inner.h.
 */
#ifndef LAYER_H
#define LAYER_H

#include "src/layers/family.h"
#include "src/layers/fit.h"
#include "src/layers/layer_call.h"

/* An array that inner reads or writes and that of its gradient, and how many reals of it each token
 * and group of heads has. */
struct crossing { int at, grad; int (*reals)(const struct dims *d); };

/* The halo of a layer: the array whose last rows it is, that array's gradient (LIFE_WAIT), the
 * gradient of the halo that came (LIFE_WAIT; (B, halo_reals) as far as the slice's own outputs
 * give it), and the reals of a row, 0 where these dims have no halo.  width NULL: there is never
 * one. */
struct halo_arrays { int at, grad, dhalo; int (*width)(const struct dims *d); };

/* Which dims a layer uses; layer_trim() sets those of the others to what means "none". */
enum { HAS_HEADS = 1,   /* H                                                        */
       HAS_INNER = 2,   /* an inner loop: K, inner_lr, inner losses, the backbones' switches  */
       HAS_STATE = 4,   /* state, expand, dt_rank                                    */
       HAS_ATTENTION = 8 };  /* F, qkv_bias, window, rope scaling                    */

/* Pointers that may be missing are NULL, unless stated otherwise. */
struct layer {
    const char          *name;
    const struct family *family;  /* names of the parameters around it */
    int                  has;     /* of HAS_                            */

    /* The layer's own rules of what dims are possible (fit.h); d: those of a block.  Mandatory. */
    void (*fits)(struct fit *f, const struct dims *d);

    /* Append the parameters of a layer with name prefix "model.layers.3.".  Mandatory. */
    void (*params)(struct param_table *t, const struct dims *d, const char *prefix);

    /* Tokens of a chunk: all slices of training except a sequence's last are multiples of it.
     * NULL: 1. */
    int (*chunk)(const struct dims *d);

    /* Model FLOPs of a token in forward without its parameters' products, when it looks at `keys`
     * tokens (itself and earlier ones), which matters only where there is a past.  Mandatory. */
    double (*flops)(const struct dims *d, double keys);

    /* --- carry and past.  carry_reals NULL: there is no carry. --- */

    /* Reals of one sequence's carry, halo included. */
    int64_t (*carry_reals)(const struct dims *d);

    /* What of it crosses to the next rank at the end of a chunk: reals [offset, offset + n), part
     * i.  returns 0 past the last. */
    int (*carry_part)(const struct dims *d, int i, int64_t *offset, int64_t *n);

    /* Carry (B, carry_reals) before the first token; NULL: zeros.  And back: gradients of the
     * parameters that it was made of. */
    void (*carry_start)(const struct layer_call *c, real *carry);
    void (*carry_start_backward)(const struct layer_call *c, const real *dcarry);

    /* Part i of a sequence's carry, for probes: "W1", ... the inner state, "igrad.W1", ... the
     * inner gradient of an unfinished mini-batch, "conv_state.X" a halo and "state.X" a state, both
     * (1, rows, channels).  Its element (j, row, col), shape[3], is at offset + j * stride +
     * row * shape[2] + col.  returns 0 past the last. */
    int (*state)(const struct dims *d, int i, const char **name, int shape[3], int64_t *offset,
                 int64_t *stride);

    /* Reals of a row of the past.  NULL: nothing grows. */
    int (*past_reals)(const struct dims *d);

    /* --- arrays --- */

    /* Lay out all arrays of a call like c, or one with fewer sequences or tokens; c has d, bf16, B,
     * T, group, decode. */
    void (*arrays)(struct layout *l, const struct layer_call *c);

    struct crossing    in[LAYER_INPUTS], out;   /* in ends where reals is NULL */
    int                kept;                    /* the array of LIFE_KEPT; 0: none */
    struct halo_arrays halo;

    /* --- parts.  carry: (B, carry_reals) [in,out], of the whole layer. --- */

    /* project: without knowing the halo.  mix reads it from the carry and leaves the next one. */
    void (*project)(const struct layer_call *c);
    void (*mix)(const struct layer_call *c, real *carry);
    void (*inner)(const struct layer_call *c, const struct head_share *s, real *carry);
    void (*finish)(const struct layer_call *c);

    /* dh is set by finish_backward and project_backward together.  dcarry [in,out]: gradient of
     * carry_out -> of carry_in.  mix_backward leaves out the gradient of the halo that the slice
     * passes to the next one: block_run.c adds it.  project_backward may read din[] as
     * inner_backward wrote them, and of the other arrays those that live longer than a call. */
    void (*finish_backward)(const struct layer_call *c);
    void (*inner_backward)(const struct layer_call *c, const struct head_share *s, real *dcarry);
    void (*mix_backward)(const struct layer_call *c);
    void (*project_backward)(const struct layer_call *c);

    /* With a past: append the slice's rows again, from in[] as inner left it. */
    void (*append)(const struct layer_call *c, const struct head_share *s);

    /* --- scan mode, for an inner that is affine in its state, number by number: after a slice the
     * state is decay * (state before) + offset.  map NULL: it is not. --- */

    int  scanned;   /* which carry_part is the state, n reals */

    /* map (B, decays n, offsets n) [in,out]: composed with this slice after it; map_backward:
     * before it, from s->dout. */
    void (*map)(const struct layer_call *c, const struct head_share *s, real *map);
    void (*map_backward)(const struct layer_call *c, const struct head_share *s, real *map);
};

/* The table. */
const struct layer *layers_find(const char *name);  /* NULL if there is none */
const struct layer *layers_row(int i);              /* NULL past the last    */

/* The dims of a block of this layer, from those of its model: what the layer does not use means
 * "none".  Without heads H is 1; without an inner loop K is 1 and there is no gate, no shared Q/K
 * and no convolution in front; without a state its sizes are 0; without a feed-forward E is 0.  F
 * is 0 where it says nothing (-1) or what C / H does.  What a kind of rope scaling does not take is
 * 0, and so is a window that no block has.  d [in,out] */
void layer_trim(const struct layer *layer, struct dims *d);

/* All heads of a slice, from its arrays to its arrays.  Local. */
struct head_share layer_all_heads(const struct layer *layer, const struct layer_call *c);

/* Reals of a token and group of heads in all of in[]. */
int64_t layer_in_reals(const struct layer *layer, const struct dims *d);

/* Reals of one sequence's halo; 0: none. */
int64_t layer_halo_reals(const struct layer *layer, const struct dims *d);

#endif
