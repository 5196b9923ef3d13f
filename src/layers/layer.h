/* layer.h -- what a sequence layer is: a function of a slice and a carry.
 *
 *     forward :  (h[slice], carry_in)          -> (y[slice], carry_out), tape
 *     backward:  (dy[slice], dcarry_out, tape) -> (dh[slice], dcarry_in), dparams
 *
 * The carry is all that later tokens need of earlier ones.  The same four
 * lines give training, sequence parallelism, evaluation in constant memory and
 * generation (slices of length 1).
 *
 * It has two parts.  What has a fixed size moves with every slice (fast weights, halos, the state
 * of a scan) and is called the carry below.  What grows with the tokens (keys and values) is the
 * past: a row for every token and group of heads, appended by forward and never changed, so it
 * stays where it is until the backward of its slice:
 *
 *     past (B, groups, room, past_reals)    rows 0 .. pos + T - 1 are there behind a slice
 *
 * Of its gradient a slice adds to the rows of all tokens that it looked at, and then takes those of
 * its own tokens: slices come backwards, so nobody else will add to them.
 *
 * To add a layer, write its pair of files here and add its row to the table in layers.c.
 * Parameters, checkpoints, configuration, memory prediction, exact reduction, grids, generation and
 * evaluation follow from the row:
 *
 *   1. A struct layer, below.  mamba.c is the shortest complete one; attention_layer.c has a past
 *      and a split, ttt.c a carry made of parameters.
 *   2. `family`: one of family.h.  A layer whose public models call things otherwise gets a family
 *      there, and a table of their config.json keys in store/hf_config.c; without it there is no
 *      import and export, and that is said.
 *   3. `has`: which dims it uses.  A size that no layer had before is a field of dims.h, a row of
 *      dims_table.c and a row of conf/conf_table.c.
 *   4. Every array of a slice has the shape of the slice and nothing else, every sum over tokens is
 *      of one unit and goes to grad_add(): so its bits depend on no grid.
 *   5. Its name goes into the lists of tests/unit/test_model.c (gradients are derivatives, slices
 *      are the whole, batches change no bit), and a file of its own compares it with its
 *      definition.
 *
 * An inner model of a TTT layer is added in kernels/inner.h's way.
 */
#ifndef LAYER_H
#define LAYER_H

#include <stdint.h>

#include "src/base/arena.h"
#include "src/base/real.h"
#include "src/layers/dims.h"
#include "src/layers/family.h"
#include "src/param/grad.h"
#include "src/param/bf16_weights.h"
#include "src/param/param.h"

/* Arrays of one slice in an arena; what each entry is, the layer's file says. */
#define TAPE_ARRAYS 20
struct tape { real *v[TAPE_ARRAYS]; };

/* One call's surroundings.  Arrays have B sequences of T tokens, N = B*T rows. */
struct layer_call {
    const struct dims        *d;
    const struct param_table *t;
    const real               *w;        /* weights, flat                           */
    const struct bf16_weights *bf16;     /* weights of products in bf16; NULL: fp32 */
    struct bf16_work         *bf16_work;  /* scratch for these products            */
    struct grad              *grad;     /* backward only                           */
    int                       first;    /* index of the layer's first parameter    */
    int                       B, T;
    int64_t                   pos;      /* tokens before the slice                 */
    int                       alone;    /* T is 1 and this is generation: products bound by
                                         * reading weights have an order of their own,
                                         * and no operand is rounded               */
    real                     *past;     /* (B, groups, room, past_reals), or NULL  */
    real                     *dpast;    /* backward only                           */
    int64_t                   room;     /* tokens that past has room for           */
    double                    inner_lr; /* base inner learning rate of this step        */
    int                       group;    /* mini-batches between kept inner states  */
    double                   *stats;    /* (B,H,T/K,3) inner losses at the initial state,
                                         * before, after; NULL: not wanted         */
};

/* --- a layer in parts ---------------------------------------------------------
 *
 * A layer whose middle part treats heads apart may say so (struct layer.split).  Then the ranks
 * along S can work on one layer at the same time: before and behind the middle a rank has its
 * tokens, in it its heads.
 *
 *      own tokens, all heads           all tokens, own heads        own tokens, all heads
 *      h -> project -> mix -> in[]  ==>  inner: in[] -> out  ==>  out -> finish -> y
 *
 * ==> is an exchange between all ranks of the sequence.  Backward takes the same way back:
 * the gradient of out crosses to the heads, those of in[] to the tokens.  Between project and mix
 * comes the halo of the rank before: the last conv_width - 1 rows of one array, at the start of
 * a carry.  forward() and backward() of the layer are these parts, on one slice.
 *
 * Attention has in[] = q, k, v, out = o and no halo.  There H counts groups of heads (dims.h), and
 * inner turns q and k where they are. */

/* An array (N, H * reals) that crosses: where it is on the tape, its gradient in the scratch, and
 * how many reals of it each head (group) and token has: 1, those of a head, those of all heads of a
 * group. */
enum head_wide { WIDE_ONE, WIDE_HEAD, WIDE_GROUP };
struct head_array { int tape, grad; enum head_wide wide; };

#define SPLIT_ARRAYS 6
static inline int head_reals(const struct head_array *a, const struct dims *d)
{
    if (a->wide == WIDE_ONE) return 1;
    return a->wide == WIDE_HEAD ? head_width(d) : heads_width(d) / head_groups(d);
}

/* The middle of a slice for heads [h0, h0 + H): arrays (N, H * reals).  Forward takes in[], gives
 * out; backward takes in[], dout, gives din[].  The past has these heads only. */
struct head_share {
    int   h0, H;
    real *in[SPLIT_ARRAYS], *din[SPLIT_ARRAYS], *out, *dout;
    real *kept;    /* (kept_reals) from forward to backward; NULL: no backward will follow */
};

struct layer_split {
    struct head_array in[SPLIT_ARRAYS], out;
    int               n_in;

    /* The halo: reals of one sequence's (0: none), whose last rows it is on the tape, and where
     * scratch has its gradient (B, halo_reals) as far as this slice gives it.  A layer that never
     * has one leaves halo_reals, project, held, mix_backward and halo_backward NULL. */
    int64_t (*halo_reals)(const struct dims *d);
    int     halo, dhalo;
    int   (*halo_width)(const struct dims *d);  /* reals of a row of it; NULL: C */

    /* Own tokens.  passing: arrays of the tape that are used up in the forward exchange, so that
     * slices can share them; tape: the others; held: what of the scratch each slice needs for
     * itself, from one exchange of backward to the next. */
    void (*passing)(struct tape *t, struct arena *a, const struct layer_call *c);
    void (*tape)(struct tape *t, struct arena *a, const struct layer_call *c);
    void (*held)(struct tape *w, struct arena *a, const struct layer_call *c);
    int64_t (*kept_reals)(const struct dims *d, int B, int T, int H, int group);

    /* project: the array with the halo, mix: all else.  carry: the whole layer's, of which mix
     * moves the halo and inner its heads' part. */
    void (*project)(const struct layer_call *c, const real *h, struct tape *t);
    void (*mix)(const struct layer_call *c, const real *h, real *carry, struct tape *t);
    /* The slice's rows of the past, as inner appends them, a second time.  NULL: no past. */
    void (*append)(const struct layer_call *c, const struct head_share *s);
    void (*inner)(const struct layer_call *c, const struct head_share *s, real *carry,
                  struct tape *w);
    void (*finish)(const struct layer_call *c, real *y, struct tape *t);

    /* dh set by finish_ and project_backward together.  halo_backward adds the gradient of the halo
     * that the slice left behind, from dcarry, and puts that of its own there. */
    void (*finish_backward)(const struct layer_call *c, real *dh, const real *dy, const real *h,
                            struct tape *t, struct tape *w);
    void (*inner_backward)(const struct layer_call *c, const struct head_share *s, real *dcarry,
                           struct tape *w);
    void (*mix_backward)(const struct layer_call *c, struct tape *t, struct tape *w);
    void (*halo_backward)(const struct layer_call *c, real *dcarry, struct tape *w);
    void (*project_backward)(const struct layer_call *c, real *dh, const real *h, struct tape *t,
                             struct tape *w);

    /* Scan mode, for a middle that is affine in its state, number by number: behind a slice the
     * state is decay * (state before) + offset.  Then ranks keep their tokens, and in the middle
     * find their state by composing the maps of all ranks before.  NULL: it is not affine.
     *
     * state: which part of the carry (struct layer.carry_part) the state is, n reals; kept: where
     * the tape has head_share.kept.  map (B, decays n, offsets n) [in,out]: composed with the
     * slice behind it; map_backward: in front of it, from s->dout. */
    int  state, kept;
    void (*map)(const struct layer_call *c, const struct head_share *s, real *map, struct tape *w);
    void (*map_backward)(const struct layer_call *c, const struct head_share *s, real *map,
                         struct tape *w);
};

/* Which dims a layer uses; layer_trim() sets those of the others to what means "none". */
enum { HAS_HEADS = 1,   /* H                                                        */
       HAS_INNER = 2,   /* an inner loop: K, inner_lr, inner losses, the backbones' switches  */
       HAS_STATE = 4,   /* state, expand, dt_rank                                    */
       HAS_ATTENTION = 8 };  /* F, qkv_bias, window, rope scaling                    */

struct layer {
    const char          *name;
    const struct family *family;  /* names of the parameters around it */
    int                  has;     /* of HAS_                            */

    /* Are these dims possible?  OK or ERR_CONFIG, said. */
    int (*fits)(const struct dims *d);

    /* Append the parameters of model layer with name prefix "model.layers.3.". */
    void (*params)(struct param_table *t, const struct dims *d, const char *prefix);

    /* Reals of one sequence's carry. */
    int64_t (*carry_reals)(const struct dims *d);

    /* Reals of a row of the past: of a token and group of heads.  NULL: nothing grows. */
    int (*past_reals)(const struct dims *d);

    /* What of a sequence's carry crosses to the next rank, when the slice ends on a boundary of
     * the layer's own (mini-batches): reals [offset, offset + n), part i.  returns 0 past the
     * last */
    int (*carry_part)(const struct dims *d, int i, int64_t *offset, int64_t *n);

    /* The carry before the first token: carry (B, carry_reals).  And the way
     * back: dcarry -> gradients of the parameters it was made of. */
    void (*carry_start)(const struct layer_call *c, real *carry);
    void (*carry_start_backward)(const struct layer_call *c, const real *dcarry);

    /* Lay out the tape of a slice, and scratch that forward (and, if `backward`, backward) needs
     * beside it, for calls like c or with fewer sequences or tokens.  c has d, bf16, B, T, group. */
    void (*tape)(struct tape *tape, struct arena *a, const struct layer_call *c);
    void (*work)(struct tape *work, struct arena *a, const struct layer_call *c, int backward);

    /* y (N,C) set; carry [in,out] (B, carry_reals); tape, work laid out as above. */
    void (*forward)(const struct layer_call *c, real *y, const real *h, real *carry,
                    struct tape *tape, struct tape *work);

    /* dh (N,C) set; dcarry [in,out]: gradient of carry_out -> of carry_in. */
    void (*backward)(const struct layer_call *c, real *dh, const real *dy, const real *h,
                     real *dcarry, struct tape *tape, struct tape *work);

    /* Part i of a sequence's carry, for probes: "W1", ... the inner state, "igrad.W1", ...
     * the inner gradient of an unfinished mini-batch, "conv_state.X" the halo of a
     * convolution and "state.X" a state, both (1, rows, channels).  Its element (j, row, col),
     * shape[3], is at offset + j * stride + row * shape[2] + col.  returns 0 past the last. */
    int (*state)(const struct dims *d, int i, const char **name, int shape[3], int64_t *offset,
                 int64_t *stride);

    /* Model FLOPs of a token in forward beside its parameters' products, when it looks at `keys`
     * tokens (itself and earlier ones), which matters only to what has a past. */
    double (*flops)(const struct dims *d, double keys);

    const struct layer_split *split;  /* NULL: not for heads mode */
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

/* Parameter k of this layer: its weights and its place in the gradient. */
static inline const real *call_w(const struct layer_call *c, int k)
{
    return c->w + c->t->p[c->first + k].offset;
}

static inline int64_t call_at(const struct layer_call *c, int k)
{
    return c->t->p[c->first + k].offset;
}

#endif
