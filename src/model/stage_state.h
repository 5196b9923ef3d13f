/* stage_state.h -- the inside of a stage, for stage.c and stage_heads.c. */
#ifndef STAGE_STATE_H
#define STAGE_STATE_H

#include "src/model/head.h"
#include "src/model/stage.h"

/* What is kept of one unit of a micro-batch. */
struct unit {
    real **x;                 /* (layers + 1) inputs of the blocks, (N,C) each; last: output */
    struct block_tape *tape;  /* (layers) remat none: each its own; block: all the same     */
    real **carry;             /* (layers) carries before the unit, remat block only         */
    real *dx;                 /* (N,C)                                                      */
};

struct slot {
    struct unit   *units;
    real          *carry, *dcarry;  /* (layers): carry_reals, then past_reals */
    const int32_t *windows;
    int64_t        stride;
    int64_t       *valid;           /* (micro_batch)            */
    int64_t        first;           /* number of sequence 0     */
    int            B;
};

struct stage {
    const struct model *m;
    const struct dims  *d;
    struct pass_opts    o;
    struct stage_part   part;
    int                 U, T, layers;  /* units of a sequence, tokens of a unit, ours */
    int64_t             carry_reals;   /* of one layer, micro_batch sequences         */
    int64_t             past_reals;    /* the same: (micro_batch, groups, room, row)  */
    int64_t             room;          /* tokens that a past has room for             */
    double              inner_factor;  /* of the base inner learning rate               */
    struct arena        arena;
    struct slot        *slots;
    struct block_tape   work;
    struct head_work    head;
    struct bf16_work    bf16;          /* bf16 operands of one product               */
    real               *redo;          /* (carry_reals) for recomputation             */
    real               *xn, *r;        /* (N,C), (N): final norm                      */
    struct stage_heads *heads;         /* heads and scan mode: tapes and all else; NULL: wavefront */
    double             *stats;         /* (B,H,T/K,3)                                 */
    int32_t            *tok;           /* (N)                                         */
};

static inline struct unit *stage_unit(struct stage *st, int slot, int u)
{
    return &st->slots[slot].units[u - st->part.u0];
}

/* Reals of a row of the past: of a token and group of heads; 0: nothing grows. */
static inline int64_t stage_row(const struct stage *st)
{
    return st->m->blocks[0].layer->past_reals ? st->m->blocks[0].layer->past_reals(st->d) : 0;
}

/* What arrays are laid out for: calls of a layer on whole units. */
struct layer_call stage_shape(const struct stage *st);

/* A call of a layer on unit u, without a past. */
struct layer_call stage_call(const struct stage *st, const struct slot *z, struct grad *g, int u);

/* A unit's share of its sequence's inner losses, for H heads, head by head: it does not matter
 * which rank has which head. */
void stage_add_inner(const struct stage *st, struct pass_sums *sums, int l, int B, int H, int T);

#endif
