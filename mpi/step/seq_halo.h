/* SPDX-License-Identifier: Apache-2.0 */
/* seq_halo.h -- halos between neighbours along S, of all own units of a layer, for heads and scan
 * mode (model/stage_seq.h).
 *
 * From the end of our last unit to the next rank, and from the one before; gradients the other way.
 * Units shorter than a halo hand on a part of what came, so they wait for it.
 */
#ifndef SEQ_HALO_H
#define SEQ_HALO_H

#include "mpi/grid/grid.h"
#include "src/layers/block.h"
#include "src/model/stage.h"

struct seq_halo {
    const struct axis *seq;    /* borrowed, with the stage */
    struct stage      *st;
    int64_t            bytes;  /* sent so far              */
};

/* Tags of messages between ranks of a sequence that are no halos begin here. */
enum { SEQ_TAG_OTHERS = 2 * HALOS };

/* Halo `which` (enum block_halos) of the layer under way, if it has it; back: its gradient.
 * Collective on seq. */
void seq_halo(struct seq_halo *x, int which, int back);

#endif
