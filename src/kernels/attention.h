/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h -- causal attention over all tokens so far, in blocks.
 *
 *              keys   block 0   1   2   3
 *     query block 4    S       S   S   S  S\        S = K Q' / sqrt(F), 64 x 64, in L1
 *                      m, l, O grow from block to block                              [E61]
 *
 * A block of queries meets the blocks of keys one after another, with a running maximum m and sum l
 * (online softmax, as in FlashAttention), so nothing of the size of context times context exists.
 * Backward recomputes P = exp(S - lse) from what forward kept, lse = m + log l, block by block.
 * [E62]
 *
 * Exact bits: blocks of keys and of queries lie at multiples of ATTENTION_BLOCK from the first
 * token of the sequence, and every product has the full shape of a block, filled up with zeros
 * where the slice does not reach.  So a query has its place in the same call of the library
 * (smm.h), and what it sees is added up in the same order, wherever a sequence is cut and on
 * whatever grid.  In generation (`alone`) one token goes through plain loops, and rounds
 * differently.
 *
 * Scores have keys as rows and queries as columns: maximum, sum and exp run along vectors of
 * queries, and only Q and dO are transposed, once for each block.
 *
 * With bf16 operands (smm_bf16.h) a block of keys is rounded once for several blocks of queries, P
 * and dS once for each product; softmax and all sums are in fp32.
 */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "src/base/real.h"

#define ATTENTION_BLOCK 64

/* A slice of T tokens of B sequences.  Token t of the slice is token pos + t of its sequence and
 * sees the keys of tokens 0 .. pos + t, all of which are in `past`.  Heads come in G groups of R,
 * each group with its keys and values (grouped-query attention); F numbers a head. */
struct attention {
    int         B, T, G, R, F;
    int64_t     pos, room;    /* tokens before the slice; tokens that `past` has room for */
    const real *q;            /* (B T, G R F)                                             */
    const real *past;         /* (B, G, room, 2 F): the key of a token, then its value    */
    real       *o;            /* (B T, G R F): forward sets it, backward reads it         */
    real       *lse;          /* (B, G R, T), or NULL: forward sets it, backward reads it */
    real       *scratch;      /* attention_scratch() reals for each thread                */
    int         bf16;         /* products of bf16 operands; not when alone                */
    int         alone;        /* T is 1, forward only                                     */
};

/* Reals of scratch for one thread.  Local. */
int64_t attention_scratch(int T, int F, int backward);

/* Rows pos .. pos + T - 1 of past = k, v (B T, G F).  Of a, only B, T, G, F, pos and room are read.
 * Local; threads inside. */
void attention_append(const struct attention *a, real *past, const real *k, const real *v);

/* a->o = [E61], and a->lse unless it is NULL.  Local; threads share out blocks of queries.  About
 * 4 B G R F flops for each pair of a token and one that it sees. */
void attention_forward(const struct attention *a);

/* dq (B T, G R F) =, and dpast, of past's shape, += for all rows before pos + T, given dout
 * (B T, G R F) [E62].  Local; threads inside.  2.5 times the flops of forward; 3.5 times where
 * there are too few groups for all threads, and scores are made twice. */
void attention_backward(const struct attention *a, real *dq, real *dpast, const real *dout);

/* dk, dv (B T, G F) = rows pos .. pos + T - 1 of dpast.  Of a, the same is read as in
 * attention_append().  Local; threads inside. */
void attention_take(const struct attention *a, real *dk, real *dv, const real *dpast);

#endif
