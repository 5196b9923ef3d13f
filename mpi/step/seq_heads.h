/* SPDX-License-Identifier: Apache-2.0 */
/* seq_heads.h -- heads mode along S: the messages of a layer, as hooks between the parts of a block
 * (layers/block.h).  Who has which units and heads, model/seq_share.h says.
 *
 * An exchange is an all-to-all in messages of one unit between two ranks: the inner loop starts
 * with the first unit while others are on their way, and a unit goes back as soon as it is done.
 * (MPI_Ialltoallv, a round of units a call, waits for all of the round; and in Open MPI 4.1 a
 * rank that has nothing to send nor to receive loses count of its collectives, and hangs.)
 *
 * Volume of a layer and sequence over all ranks, scheme E of the reference: forward and backward
 * each
 *     (4 C + H) N (S - 1) / S  reals,  N tokens,
 * q, k, v, o and H gates of a token; with activation recomputation the forward part twice.
 * Halos of convolutions go to the next rank, their gradients to the one before.
 */
#ifndef SEQ_HEADS_H
#define SEQ_HEADS_H

#include "mpi/grid/grid.h"
#include "src/layers/block.h"
#include "src/model/stage.h"

struct seq_heads;

/* Local; axis and stage are borrowed. */
struct seq_heads *seq_heads_new(const struct axis *seq, struct stage *st);
void seq_heads_free(struct seq_heads *x);

/* For stage_seq_forward() and stage_seq_backward(), which are collective on seq with them: slot and
 * layer must agree.  Local. */
const struct block_hooks *seq_heads_hooks(const struct seq_heads *x);

/* Bytes sent to other ranks so far.  Local. */
struct seq_bytes { int64_t exchange, halos; };
struct seq_bytes seq_heads_bytes(const struct seq_heads *x);

#endif
