/* SPDX-License-Identifier: Apache-2.0 */
/* stage_state.h -- the inside of a stage, for stage.c, stage_memory.c and stage_seq.c. */
#ifndef STAGE_STATE_H
#define STAGE_STATE_H

#include "src/model/head.h"
#include "src/model/seq_share.h"
#include "src/model/stage.h"

/* What is kept of one unit of a micro-batch. */
struct unit {
    real **x;                 /* (layers + 1) inputs of the blocks, (N,C) each; last: output */
    real **carry;             /* (layers) carries before the unit: wavefront with remat block */
    real *dx;                 /* (N,C)                                                        */
};

struct slot {
    struct unit   *units;
    real          *carry, *dcarry;  /* of our layers, each where struct stage_layer says      */
    const int32_t *windows;
    int64_t        stride;
    int64_t       *valid;           /* (micro_batch)            */
    int64_t        first;           /* number of sequence 0     */
    int            B;
};

/* Sizes of one of our layers, in reals of micro_batch sequences. */
struct stage_layer {
    int64_t at;           /* where its carry begins in those of a slot                     */
    int64_t carry, past;  /* the carry, and the past (B, groups, room, row) that follows it */
    int64_t row;          /* of the past: a token and group of heads                       */
};

struct stage {
    const struct model *m;
    const struct dims  *d;
    struct pass_opts    o;
    struct stage_part   part;
    int                 U, T, layers, own;  /* units of a sequence, tokens of a unit; ours  */
    int64_t             room;          /* tokens that a past has room for             */
    double              inner_factor;  /* of the base inner learning rate             */
    struct arena        arena;
    struct stage_layer *layer;         /* (layers)                                    */
    int64_t             carries;       /* reals of the carries and pasts of all of them */
    struct slot        *slots;

    /* Arrays of slices: those of a slot, layer and unit, complete with the scratch that they
     * share.  With activation recomputation or without backward slots share them, and on the
     * wavefront units too. */
    struct block_arrays *arrays;       /* (array_slots, layers, array_units)          */
    int                 array_slots, array_units;
    struct slice       *slices;        /* (own) of the operation under way            */

    struct head_work    head;
    struct bf16_work    bf16;          /* bf16 operands of one product                */
    real               *redo;          /* the largest carry, for recomputation        */
    real               *xn, *r;        /* (N,C), (N): final norm                      */
    struct stage_seq   *seq;           /* heads and scan mode; NULL: wavefront        */
    double             *stats;         /* (B,H,T/K,3) of the largest layer            */
    int32_t            *tok;           /* (N)                                         */
};

static inline struct unit *stage_unit(struct stage *st, int slot, int u)
{
    return &st->slots[slot].units[u - st->part.u0];
}

static inline const struct block *stage_block(const struct stage *st, int l)
{
    return &st->m->blocks[l];
}

static inline struct block_arrays *stage_arrays(const struct stage *st, int slot, int l, int u)
{
    const int i = st->array_slots == 1 ? 0 : slot, j = st->array_units == 1 ? 0 : u - st->part.u0;
    return &st->arrays[(i * st->layers + l - st->part.l0) * st->array_units + j];
}

/* What arrays are laid out for: calls on whole units. */
static inline struct layer_call stage_shape(const struct stage *st)
{
    return (struct layer_call){ .d = st->d, .bf16 = st->m->bf16, .B = st->o.micro_batch,
                                .T = st->T, .group = st->o.inner_group };
}

/* A call on unit u, without a past. */
struct layer_call stage_call(const struct stage *st, const struct slot *z, struct grad *g, int u);

/* Units [u, u + n) of layer l as slices; again: the output goes nowhere, because the forward is a
 * recomputation.  Returns st->slices. */
struct slice *stage_slices(struct stage *st, int slot, int l, int u, int n, struct grad *g,
                           int again);

/* A unit's share of its sequence's inner losses of layer l, for H heads, head by head: it does not
 * matter which rank has which head. */
void stage_add_inner(const struct stage *st, struct pass_sums *sums, int l, int B, int H, int T);

/* --- heads and scan mode, in stage_seq.c: before and while memory is laid out --- */

struct stage_seq *stage_seq_new(const struct stage *st);
void stage_seq_free(struct stage_seq *q);
void stage_seq_tapes(struct stage *st);
void stage_seq_scratch(struct stage *st);

#endif
