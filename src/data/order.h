/* order.h -- which sample comes when: a keyed permutation.
 *
 * sample(seed, epoch, k) walks a Feistel network until it falls into [0, n):
 * no list of n ids, no sampler state, O(1) seek, and the same order for every
 * number of ranks.
 *
 * Two levels, so that samples near in time share blocks and yet are strangers: groups of
 * ORDER_GROUP neighbouring samples are permuted, then all samples of ORDER_WINDOW places in
 * time are.  A data set of fewer samples is shuffled as a whole; a larger one is read from
 * 64 places at once, which a reader's cache of decoded blocks can hold.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdint.h>

#define ORDER_GROUP 64
#define ORDER_WINDOW (64 * ORDER_GROUP)

/* The sample shown as number k of an epoch, 0 <= k < n.  A bijection of [0, n)
 * for every seed and epoch.  Local, pure. */
int64_t order_sample(uint64_t seed, int64_t epoch, int64_t k, int64_t n);

#endif
