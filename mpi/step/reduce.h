/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.h -- gradients are summed over replicas while the backward pass runs; and which rank
 * updates what.
 *
 *   backward:   layer L-1 ----> layer L-2 ----> ... ----> layer 0
 *   network :         [ begin L-1 ][ begin L-2 ] ...  | end: wait for all
 *
 * A bucket is what one layer, the embedding or the head holds (model/bucket.h).  The ranks that
 * hold the same bucket cut it into runs, one for each.  A rank receives the sum of its own run only
 * (a reduce-scatter), updates, hashes and stores it, and then sends its new weights to the others
 * (an all-gather): a sharded (ZeRO-1) optimizer.
 *
 * In exact mode 64-bit integers are added, so the order of sums changes no bit; in fast mode floats
 * are, in an order that the grid fixes.
 */
#ifndef REDUCE_H
#define REDUCE_H

#include "mpi/grid/grid.h"
#include "src/model/model.h"
#include "src/param/grad.h"

struct reducer;

/* A reducer for this rank's buckets.  Local.  g and m are borrowed. */
struct reducer *reducer_new(const struct grid *g, const struct model *m);
void reducer_free(struct reducer *r);

/* What this rank owns, that is updates: spans of the flat array in its order, none empty.  Local.
 * own [out]: borrowed.  returns how many */
int reducer_spans(const struct reducer *r, const struct span **own);

/* Elements in these spans, padding included.  Local. */
int64_t reducer_own(const struct reducer *r);

/* What this rank holds, the weights and gradients of all its buckets: spans as in reducer_spans().
 * Local. */
int reducer_holds(const struct reducer *r, const struct span **held);

/* The ranks that hold bucket b, and cut [out]: where the run of each begins, and the end of the
 * last (size + 1 offsets).  Both are borrowed.  Local.  returns NULL if b is not held here */
const struct axis *reducer_bucket(const struct reducer *r, int b, const int64_t **cut);

/* The gradients to sum from now on; nothing may be in flight.  Local. */
void reducer_attach(struct reducer *r, struct grad *g);

/* Start summing a bucket.  Collective on the ranks that hold it, non-blocking, in the order of the
 * step plan; the bucket's gradient may not be touched until reducer_end(). */
void reducer_begin(struct reducer *r, int bucket);

/* Let MPI make progress with what is in flight.  Local. */
void reducer_progress(struct reducer *r);

/* Wait for all sums begun.  Collective on the replica axis; the buckets begun must agree.  On
 * return the rank's own spans of the gradient hold the sum over replicas. */
void reducer_end(struct reducer *r);

/* Every rank that holds a weight of w gets its updated value from the owner.  Collective on the
 * ranks that share buckets. */
void reducer_gather(struct reducer *r, real *w);

/* Bytes that this rank has sent so far, in reductions and gathers, if each is a ring: other ranks'
 * runs pass through it.  Local. */
int64_t reducer_bytes(const struct reducer *r);

#endif
