/* agree.h -- is this the same job on every rank, and can it keep what it promises?
 *
 * Ranks that were started with another configuration, another build or other data would train
 * on and give numbers that belong to nothing.  So each of these is compared once, at the start.
 */
#ifndef AGREE_H
#define AGREE_H

#include "mpi/grid/comm.h"
#include "src/kernels/proof.h"

/* Compare a text over all ranks: a resolved configuration, build_text(), a fingerprint.
 *
 * Collective on axis; `name` must agree.
 *
 * text     compared byte by byte through its hash; any length
 * returns  OK, or ERR_CONFIG on all ranks; rank 0 has then said which rank is the first that
 *          differs from it, and the first line that differs, as both have it
 * cost     32 bytes per rank; the texts themselves travel only when they differ
 */
int job_agree(const struct axis *axis, const char *name, const char *text);

/* Do all processors and libraries keep what equal bits rest on (kernels/proof.h)?
 *
 * Collective on axis.
 *
 * allow    what does not hold is only warned of
 * returns  OK, or ERR_CONFIG on all ranks; rank 0 has then said what the first rank met
 */
int job_prove(const struct axis *axis, const struct proof_of *p, int allow);

#endif
