/* reduce.h -- gradients added up over replicas behind the backward pass, and who updates what.
 *
 *   backward:   layer L-1 ----> layer L-2 ----> ... ----> layer 0
 *   network :         [ begin L-1 ][ begin L-2 ] ...  | end: wait for all
 *
 * Buckets and their owners: model/bucket.h.  A rank sums, updates, hashes and stores its own run
 * of every bucket it holds, and nobody else does.
 *
 * Exact mode adds 64-bit integers, so the order of sums changes no bit; in fast mode the grid
 * fixes it.
 */
#ifndef REDUCE_H
#define REDUCE_H

#include "mpi/grid/grid.h"
#include "src/model/model.h"
#include "src/param/grad.h"

struct reducer;

/* Local.  Everything is borrowed. */
struct reducer *reducer_new(const struct grid *g, const struct model *m);
void reducer_free(struct reducer *r);

/* What this rank owns: spans in the order of the flat array, none empty.  Local. */
int reducer_spans(const struct reducer *r, const struct span **own);
int64_t reducer_own(const struct reducer *r);  /* elements in them, padding included */

/* Elements that buffers for the runs of other ranks must hold, for all buckets together.  Local. */
int64_t reducer_part(const struct reducer *r);

/* What this rank holds (weights and gradients of its buckets), as reducer_spans().  Local. */
int reducer_holds(const struct reducer *r, const struct span **held);

/* The ranks that hold bucket b, and where each one's run begins (size + 1), borrowed; NULL: this
 * rank does not hold it.  Local. */
const struct axis *reducer_bucket(const struct reducer *r, int b, const int64_t **cut);

/* The gradients to add up from now on.  Local; nothing may be in flight. */
void reducer_attach(struct reducer *r, struct grad *g);

/* Start adding bucket b up.  Collective on the ranks that hold it, non-blocking, in the order of
 * the step plan; its gradient may not be touched until reducer_end(). */
void reducer_begin(struct reducer *r, int bucket);

/* Let MPI move what is under way.  Local. */
void reducer_poke(struct reducer *r);

/* Wait for all.  Collective on the replica axis; the buckets begun must agree.  On return the
 * gradient's own spans hold the sum over replicas. */
void reducer_end(struct reducer *r);

/* Bring every holder the updated weights of every owner.  Collective. */
void reducer_gather(struct reducer *r, real *w);

/* Bytes of others' runs that went through this rank in reductions and gathers so far: what it
 * sends in a ring.  Local. */
int64_t reducer_bytes(const struct reducer *r);

#endif
