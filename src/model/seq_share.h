/* SPDX-License-Identifier: Apache-2.0 */
/* seq_share.h -- heads mode: who has which tokens and which heads of a layer.
 *
 *                 rank 0    rank 1                    rank 0    rank 1
 *      head 0    | units   | units   |               | head 0  | head 1  |
 *      head 1    |   0-1   |  2-3    |   <======>    | units   | units   |
 *                  own units, all heads                all units, own heads
 *
 * A pure value, which every rank computes of every other one.  Units cross in rounds: round j takes
 * the j-th own unit of every rank that has one, so that a message is never larger than a unit.
 */
#ifndef SEQ_SHARE_H
#define SEQ_SHARE_H

#include <stdint.h>

struct seq_share {
    int S, s;        /* ranks of a sequence, and our place among them  */
    int U, T;        /* units of a sequence, tokens of a unit          */
    int context;     /* tokens of a sequence: the last unit may be shorter */
    int groups;      /* groups of heads of the layer; 1: it has none   */
};

/* Tokens of unit u. */
int seq_share_tokens(const struct seq_share *p, int u);

/* Rank r's first unit, how many it has; its first group of heads, how many. */
int seq_share_unit(const struct seq_share *p, int r);
int seq_share_units(const struct seq_share *p, int r);
int seq_share_head(const struct seq_share *p, int r);
int seq_share_heads(const struct seq_share *p, int r);

/* Rounds of an exchange. */
int seq_share_rounds(const struct seq_share *p);

/* Where unit u lies among all units: round after round, in a round rank after rank.  The last
 * round is that of the first ranks, so nothing is left free. */
int seq_share_place(const struct seq_share *p, int u);

/* What we exchange with rank r in round j, when `each` reals of a token and group of heads cross, B
 * sequences: our tokens for its heads, and its tokens for our heads; reals, and where they begin in
 * the round's two buffers. */
struct cross_part { int64_t tokens, tokens_at, heads, heads_at; };
struct cross_part seq_share_part(const struct seq_share *p, int64_t each, int B, int j, int r);

#endif
