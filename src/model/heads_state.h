/* heads_state.h -- the inside of heads and scan mode, for stage_heads.c and stage_scan.c. */
#ifndef HEADS_STATE_H
#define HEADS_STATE_H

#include "src/model/stage_heads.h"
#include "src/model/stage_state.h"

/* The tape of one layer of a micro-batch. */
struct layer_tape {
    struct block_tape *units;   /* (own)                                              */
    real              *in;      /* (U, in_each H B T) what crossed to our heads       */
    real              *kept;    /* (U, kept)                                          */
};

struct stage_heads {
    const struct layer_split *split;
    int                s, S, U, own, rounds, h0, H;  /* own: units; h0, H: our heads, or
                                                      * groups of them (dims.h); none in scan
                                                      * mode                           */
    int64_t            in_each, out_each;   /* reals that cross for a head and token  */
    int64_t            kept;                /* reals of a unit                        */
    int                n_tapes;             /* slots x layers, or one that all share  */
    struct layer_tape *tapes;
    struct block_tape *work;                /* (own) sharing all but what is held     */
    real              *carry, *dcarry;      /* of one layer                           */
    real              *map;                 /* scan mode: (B, decays, offsets)        */
    int64_t            past_reals;          /* (B, H, context, row) of one layer      */
    real              *past, *dpast;
    real              *leaves;              /* (B, halo)                              */
    real              *tokens;              /* (own, B T each C/F) our tokens         */
    real              *out, *din;           /* (U, B T each H) our heads              */
};

static inline struct layer_tape *heads_tape(const struct stage *st, int slot, int l)
{
    const struct stage_heads *h = st->heads;
    return &h->tapes[h->n_tapes == 1 ? 0 : slot * st->layers + l - st->part.l0];
}

static inline struct block_tape *heads_unit_tape(const struct stage *st, int slot, int l, int j)
{
    return &heads_tape(st, slot, l)->units[j];
}

static inline const struct block *heads_block(const struct stage *st, int l)
{
    return &st->m->blocks[l];
}

/* A call on own unit j. */
static inline struct layer_call heads_own_call(const struct stage *st, int slot, struct grad *g,
                                               int j)
{
    return stage_call(st, &st->slots[slot], g, st->part.u0 + j);
}

#endif
