/* SPDX-License-Identifier: Apache-2.0 */
/* attention_parts.h -- what attention.c and attention_backward.c share: a thread's arrays, and
 * loading and masking blocks.
 */
#ifndef ATTENTION_PARTS_H
#define ATTENTION_PARTS_H

#include "src/kernels/attention.h"
#include "src/kernels/smm_bf16.h"

enum { BLOCK = ATTENTION_BLOCK };

/* Blocks of queries that meet a block of keys while it is in the cache: at most, in backward and in
 * forward. */
#define CHUNK 16
#define FORWARD_CHUNK 4

struct attn_local {
    real *kv;                  /* (BLOCK, 2F) the last keys, filled up with zeros; before and
                                * after the blocks of keys, rows that are transposed  */
    real *s, *p;               /* (BLOCK keys, BLOCK queries)                         */
    real *qt, *ot;             /* (chunk, F, BLOCK) q', and o' or, backward, dO'      */
    real *q, *go, *gq;         /* (CHUNK, BLOCK, F) q / sqrt(F), dO, dq: backward     */
    real *lse, *d;             /* (CHUNK, BLOCK)                                      */
    real *dk, *dv;             /* (BLOCK, F)                                          */
    real *m, *l;               /* (chunk, BLOCK)                                      */
    real *shrink;              /* (BLOCK)                                             */

    /* bf16 operands (smm_bf16.h).  gq is (CHUNK, F, BLOCK) with them. */
    bf16_word *rows, *columns; /* of the keys and values (BLOCK, 2F)                  */
    bf16_word *hqt, *hot;      /* (chunk) columns of qt, of dO'                       */
    bf16_word *hq, *hgo;       /* (CHUNK) columns of q, dO                            */
    bf16_word *hs;             /* rows or columns of s or p                           */
};

/* Words of an operand (BLOCK,F) or (F,BLOCK); F is even. */
static inline int64_t attention_words(int F) { return (int64_t)BLOCK * F / 2; }

/* The arrays of the calling thread, in a->scratch. */
struct attn_local attention_local(const struct attention *a, int backward);

/* The blocks that hold the slice's queries: the first token of the first block, which may come
 * before the slice, and their number. */
static inline int64_t attention_first(const struct attention *a) { return a->pos - a->pos % BLOCK; }

static inline int attention_blocks(const struct attention *a)
{
    return (int)((a->pos % BLOCK + a->T + BLOCK - 1) / BLOCK);
}

/* The queries of block i: tokens [t, t + n) of the slice have places [slot, slot + n) in it. */
struct queries { int t, n, slot; };
struct queries attention_queries(const struct attention *a, int i);

/* The past of sequence b and group g: (room, 2F). */
static inline const real *attention_rows(const struct attention *a, int b, int g)
{
    return a->past + ((int64_t)b * a->G + g) * a->room * 2 * a->F;
}

/* Keys and values of block j, with zeros after the last token: there the past may hold anything,
 * NaN too. */
const real *attention_keys(const struct attention *a, const struct attn_local *l, const real *rows,
                           int64_t j);

/* y (BLOCK,F) = scale x for the queries q of a block, and zero for its other places; x: rows of the
 * slice, ld apart. */
void attention_load(real *y, const real *x, struct queries q, int F, int ld, real scale);

/* s (keys,queries) = the keys of `rows` (BLOCK,2F) times qt (F,BLOCK). */
void attention_scores(real *s, const real *rows, const real *qt, int F);

/* Causal mask: scores s (keys,queries) of keys that a query may not see become minus infinity.  Key
 * k of the block comes after query i when k > ahead + i. */
void attention_mask(real *s, int64_t ahead);

#endif
