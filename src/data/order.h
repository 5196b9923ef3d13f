/* SPDX-License-Identifier: Apache-2.0 */
/* order.h -- the order of samples in an epoch: a keyed permutation.
 *
 * The permutation is computed, not stored (format-preserving encryption): a Feistel network is
 * applied until the result is in [0, n).  So there is no list of n ids and no state of a sampler,
 * any position costs O(1), and the order is the same for every number of ranks.
 *
 * It has two levels, so that samples that are read at about the same time share blocks of a file,
 * but are not neighbours in the text: first groups of ORDER_GROUP neighbouring samples are
 * permuted, then the samples within each ORDER_WINDOW places of the result.  A data set with fewer
 * samples is shuffled as a whole; a larger one is read from 64 places at a time, whose decoded
 * blocks fit a reader's cache.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdint.h>

#define ORDER_GROUP 64
#define ORDER_WINDOW (64 * ORDER_GROUP)

/* The sample that is number k of an epoch, 0 <= k < n.  A bijection of [0, n)
 * for every seed and epoch.  Local, pure. */
int64_t order_sample(uint64_t seed, int64_t epoch, int64_t k, int64_t n);

#endif
