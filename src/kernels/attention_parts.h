/* attention_parts.h -- inside attention: a thread's arrays and what forward and backward do to them
 * alike (attention.c, attention_backward.c). */
#ifndef ATTENTION_PARTS_H
#define ATTENTION_PARTS_H

#include "src/kernels/attention.h"
#include "src/kernels/smm_bf16.h"

enum { BLOCK = ATTENTION_BLOCK };

/* Blocks of queries that backward and forward hold at most at once. */
#define CHUNK 16
#define FORWARD_CHUNK 4

struct attn_local {
    real *kv;                  /* (BLOCK, 2F) the last keys, filled up with zeros     */
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

/* Those of the calling thread. */
struct attn_local attention_local(const struct attention *a, int backward);

/* Blocks that a slice has queries in, and the first token of the first, which may come before the
 * slice. */
static inline int64_t attention_first(const struct attention *a) { return a->pos - a->pos % BLOCK; }

static inline int attention_blocks(const struct attention *a)
{
    return (int)((a->pos % BLOCK + a->T + BLOCK - 1) / BLOCK);
}

/* Those of block i: tokens [t, t + n) of the slice are its queries [slot, slot + n). */
struct queries { int t, n, slot; };
struct queries attention_queries(const struct attention *a, int i);

/* Rows of sequence b and group g in the past. */
static inline const real *attention_rows(const struct attention *a, int b, int g)
{
    return a->past + ((int64_t)b * a->G + g) * a->room * 2 * a->F;
}

/* Keys and values of block j.  Behind the last token they are zero: what stands there in the past
 * may be anything, NaN too. */
const real *attention_keys(const struct attention *a, const struct attn_local *l, const real *rows,
                           int64_t j);

/* yt (F,BLOCK) = scale x' of the block's queries, x those of the slice's first token on, ld apart;
 * zero before and after them.  y (BLOCK,F), or NULL: the same, not transposed. */
void attention_load(real *yt, real *y, const real *x, struct queries q, int F, int ld, real scale);

/* s (keys,queries) = rows of a block (keys, F of 2F) times qt. */
void attention_scores(real *s, const real *rows, const real *qt, int F);

/* Scores of keys that a query may not see become minus infinity: key k of the block comes behind
 * query i when k > ahead + i. */
void attention_mask(real *s, int64_t ahead);

#endif
