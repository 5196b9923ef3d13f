/* SPDX-License-Identifier: Apache-2.0 */
/* agree.h -- checks at the start of a job: is it the same job on every rank, and do processors and
 * libraries compute as equal bits need?
 *
 * Ranks that were started with different configurations, builds or data would still train, and
 * their numbers would mean nothing.  So each of these is compared once, at the start.
 */
#ifndef AGREE_H
#define AGREE_H

#include "mpi/grid/comm.h"
#include "src/kernels/proof.h"

/* Compare a text over all ranks: a resolved configuration, build_text(), a fingerprint.
 *
 * Collective on axis; `name` must agree.
 *
 * name     of the text, for the message
 * text     [in] this rank's; any length.  Compared by its hash
 * returns  OK, or ERR_CONFIG on all ranks; rank 0 has then reported the first rank whose text is
 *          not that of rank 0, and the first line that differs, in both versions
 * cost     32 bytes per rank; the texts themselves are sent only when they differ
 */
int job_agree(const struct axis *axis, const char *name, const char *text);

/* Test on every rank the properties of its processor and libraries that equal bits depend on
 * (kernels/proof.h).
 *
 * Collective on axis.
 *
 * allow    1: a property that does not hold is only a warning
 * returns  OK, or ERR_CONFIG on all ranks; rank 0 has then reported what the first rank found
 */
int job_prove(const struct axis *axis, const struct proof_of *p, int allow);

#endif
