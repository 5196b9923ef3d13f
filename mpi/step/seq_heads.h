/* seq_heads.h -- heads mode along S: the messages of a layer, between what model/stage_heads.h
 * computes.
 *
 *                 rank 0    rank 1                    rank 0    rank 1
 *      head 0    | tokens  | tokens  |               | head 0  | head 1  |
 *      head 1    |   0-7   |  8-15   |   <======>    | tokens  | tokens  |
 *                  own tokens, all heads               all tokens, own heads
 *
 * An exchange is an all-to-all in messages of one unit between two ranks: the inner loop starts
 * with the first unit while others are on their way, and a unit goes back as soon as it is done.
 * (MPI_Ialltoallv, a round of units a call, waits for all of the round; and in Open MPI 4.1 a
 * rank that has nothing to send nor to receive loses count of its collectives, and hangs.)
 *
 * Volume of a layer and sequence over all ranks, scheme E of the reference: forward and backward
 * each
 *     (4 C + H) N (S - 1) / S  reals,  N tokens,
 * q, k, v, o and H gates of a token; forward once more when blocks are computed twice.
 * Halos of convolutions go to the next rank, their gradients to the one before.
 */
#ifndef SEQ_HEADS_H
#define SEQ_HEADS_H

#include "mpi/grid/grid.h"
#include "src/model/stage.h"

struct seq_heads;

/* Local; axis and stage are borrowed. */
struct seq_heads *seq_heads_new(const struct axis *seq, struct stage *st, int again);
void seq_heads_free(struct seq_heads *x);

/* Layer l of the micro-batch in a slot.  Collective on seq; slot and l must agree. */
void seq_heads_forward(struct seq_heads *x, int slot, int l, struct pass_sums *sums);
void seq_heads_backward(struct seq_heads *x, int slot, int l, struct grad *g);

/* Bytes sent to other ranks so far. */
struct seq_bytes { int64_t exchange, halos; };
struct seq_bytes seq_heads_bytes(const struct seq_heads *x);

#endif
