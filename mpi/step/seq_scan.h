/* SPDX-License-Identifier: Apache-2.0 */
/* seq_scan.h -- scan mode along S: all ranks of a sequence on the same layer, each on its own
 * tokens.
 *
 *      own units as one map of the state    MPI_Exscan: maps composed    own units from their state
 *           (p, h): s -> p s + h                (P, H) of all before          s0 = H
 *
 * For layers whose middle is affine in its state, number by number (struct layer.map).
 * Composing is associative, so the ranks' maps meet in about log2 S rounds, where the wavefront
 * goes rank after rank.  The cost: each pass computes the state's recurrence two times, and the sum
 * inside a state has another order, so results equal those of the wavefront up to rounding, not bit
 * for bit.
 *
 * Backward the same, from the last rank to the first, with gradients of the state.
 */
#ifndef SEQ_SCAN_H
#define SEQ_SCAN_H

#include "mpi/step/seq_heads.h"

struct seq_scan;

/* Collective on seq; axis and stage are borrowed. */
struct seq_scan *seq_scan_new(const struct axis *seq, struct stage *st);
void seq_scan_free(struct seq_scan *x);

/* As seq_heads_hooks().  Local. */
const struct block_hooks *seq_scan_hooks(const struct seq_scan *x);

/* Bytes of halos and maps sent to the next rank so far; exchange is 0.  Messages inside MPI_Exscan
 * are not counted.  Local. */
struct seq_bytes seq_scan_bytes(const struct seq_scan *x);

#endif
