/* attention.h -- causal attention over all tokens so far, in blocks.
 *
 *              keys   block 0   1   2   3
 *     query block 4    S       S   S   S  S\        S = K Q' / sqrt(F), 64 x 64, in L1
 *                      m, l, O grow from block to block                              [E61]
 *
 * A block of queries goes over the blocks of keys with a running maximum m and sum l, so nothing
 * of the size of context times context exists.  Backward makes P = exp(S - lse) again from what
 * forward left, lse = m + log l, a block at a time.                                    [E62]
 *
 * Blocks of keys and of queries lie at multiples of ATTENTION_BLOCK from the first token of the
 * sequence, and every product has the full shape of a block, filled up with zeros where the slice
 * does not reach: a query has its place in the same call of the library (smm.h), and what it sees is
 * added up in the same order, wherever a sequence is cut and whatever it is computed with.  In
 * generation (`alone`) one token goes through plain loops, and rounds differently.
 *
 * Scores stand with the keys as rows, so that maximum, sum and exp run along vectors of queries and no
 * operand has to be transposed but Q and dO, once a block.
 *
 * With bf16 operands (kernels/smm_bf16.h) a block of keys is rounded for several blocks of queries, P and
 * dS for each product; softmax and all sums stay as they are.
 */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "src/base/real.h"

#define ATTENTION_BLOCK 64

/* Heads come in G groups of R with common keys and values.  Token t of the slice is token pos + t
 * of its sequence; it sees the keys of tokens 0 .. pos + t, which are all in the past. */
struct attention {
    int         B, T, G, R, F;
    int64_t     pos, room;
    const real *q;            /* (B T, G R F)                                             */
    const real *past;         /* (B, G, room, 2 F): the key of a token, then its value    */
    real       *o;            /* (B T, G R F)  out; in for backward                       */
    real       *lse;          /* (B, G R, T)   out, or NULL; in for backward              */
    real       *scratch;      /* attention_scratch() reals for each thread                */
    int         bf16;         /* products of bf16 operands; not when alone                */
    int         alone;        /* T is 1, forward only                                     */
};

/* Reals for one thread. */
int64_t attention_scratch(int T, int F, int backward);

/* Rows of past from pos on = k, v (B T, G F).  Of a, only B, T, G, F, pos and room are read. */
void attention_append(const struct attention *a, real *past, const real *k, const real *v);

/* o, lse set. */
void attention_forward(const struct attention *a);

/* dq (B T, G R F) set; dpast, of past's shape, += for all rows up to pos + T. */
void attention_backward(const struct attention *a, real *dq, real *dpast, const real *dout);

/* dk, dv (B T, G F) = rows of dpast from pos on.  Of a, the same is read. */
void attention_take(const struct attention *a, real *dk, real *dv, const real *dpast);

#endif
