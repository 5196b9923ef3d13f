/* order.h -- which sample comes when: a keyed permutation.
 *
 * sample(seed, epoch, k) walks a Feistel network until it falls into [0, n):
 * no list of n ids, no sampler state, O(1) seek, and the same order for every
 * number of ranks.  Two levels, so that neighbours in time share blocks:
 * groups of ORDER_GROUP samples are permuted, and samples inside a group.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdint.h>

#define ORDER_GROUP 64

/* The sample shown as number k of an epoch, 0 <= k < n.  A bijection of [0, n)
 * for every seed and epoch.  Local, pure. */
int64_t order_sample(uint64_t seed, int64_t epoch, int64_t k, int64_t n);

#endif
