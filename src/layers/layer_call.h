/* SPDX-License-Identifier: Apache-2.0 */
/* layer_call.h -- what a layer's parts are given: a slice's arrays, the surroundings of a call, a
 * share of the heads.
 *
 * Words.  All memory is laid out before the first step:
 *
 *      carry     what has a fixed size and moves from slice to slice: fast weights, the state of a
 *                scan, halos.  Every sequence and layer has one
 *      halo      the first part of a carry: the last conv_width - 1 rows of an array
 *      past      what grows with the tokens: keys and values.  It has a row for every token and
 *                group of heads, (B, groups, room, past_reals).  inner appends rows up to
 *                pos + T - 1 and never changes one; in backward a slice adds to the gradients of
 *                all rows that it looked at, then takes those of its own tokens, because slices
 *                come in reverse
 *      tape      arrays of a slice from its forward to its backward; of these, `kept` is what inner
 *                keeps for itself
 *      scratch   arrays of one call, which all slices share
 *
 * enum life says of every array how long it lives.
 */
#ifndef LAYER_CALL_H
#define LAYER_CALL_H

#include <stdint.h>

#include "src/base/arena.h"
#include "src/base/real.h"
#include "src/layers/dims.h"
#include "src/param/bf16_weights.h"
#include "src/param/grad.h"
#include "src/param/param.h"

/* Arrays of a slice.  The block sets the first four, (N,C) each: the layer's input h and output y,
 * and their gradients; h and dy are read only.  A layer numbers its own from A_OWN on. */
enum { A_H, A_Y, A_DH, A_DY, A_OWN };
#define LAYER_ARRAYS 48

/* How long an array lives. */
enum life {
    LIFE_TAPE = 1,      /* from the slice's forward to its backward                          */
    LIFE_IN = 2,        /* the same, of an array of in[] that no other part reads: in heads mode it
                         * is scratch, because the heads have what crossed                   */
    LIFE_KEPT = 4,      /* from inner to its backward: with the heads.  Backward only        */
    LIFE_SCRATCH = 8,   /* one call, forward or backward                                     */
    LIFE_BACK = 16,     /* one call, backward only                                           */
    LIFE_WAIT = 32,     /* one backward of all slices that a rank has of a layer: what waits for the
                         * halo's gradient, or what project_backward reads                   */
};

/* Arrays being laid out: those that live as `lives` says go to v, the others stay. */
struct layout {
    struct arena *a;
    real        **v;
    int           lives;    /* a set of enum life                                 */
    int           room;     /* arrays that v has room for                         */
    int           groups;   /* groups of heads that LIFE_KEPT is for (dims.h)     */
    const char   *who;      /* for messages                                       */
};

/* Array i gets n reals (or bytes); 0: it is NULL.  Dies if a slice has no room for array i. */
void layout_reals(struct layout *l, enum life life, int i, int64_t n);
void layout_bytes(struct layout *l, enum life life, int i, int64_t n);

/* One call's surroundings.  Arrays have B sequences of T tokens, N = B*T rows. */
struct layer_call {
    const struct dims        *d;         /* of the block                               */
    const struct param_table *t;
    const real               *w;         /* weights, flat                              */
    const struct bf16_weights *bf16;     /* weights of products in bf16; NULL: fp32    */
    struct bf16_work         *bf16_work; /* scratch for these products                 */
    struct grad              *grad;      /* backward only                              */
    int                       first;     /* index of the layer's first parameter       */
    int                       B, T;
    int64_t                   pos;       /* tokens before the slice                    */
    int                       decode;    /* generation of one token of each sequence: products,
                                          * which are bound by reading weights, have an order of
                                          * their own, and no operand is rounded       */
    real                    **v;         /* (LAYER_ARRAYS) the slice's arrays          */
    real                     *past;      /* (B, groups, room, past_reals), or NULL     */
    real                     *dpast;     /* backward only                              */
    int64_t                   room;      /* tokens that past has room for              */
    double                    inner_lr;  /* base inner learning rate of this step      */
    int                       group;     /* mini-batches between kept inner states     */
    double                   *stats;     /* (B,H,T/K,3) inner losses at the initial state,
                                          * before, after; NULL: not wanted            */
};

/* What inner works on: groups of heads [h0, h0 + H), all of them or a rank's share.  Arrays
 * (N, H * reals of a group).  Forward reads in[] and writes out; backward reads in[] and dout and
 * writes din[].  The past has these groups only. */
#define LAYER_INPUTS 6
struct head_share {
    int   h0, H;
    real *in[LAYER_INPUTS], *din[LAYER_INPUTS], *out, *dout;
    real *kept;    /* of LIFE_KEPT; NULL: no backward will follow */
};

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
