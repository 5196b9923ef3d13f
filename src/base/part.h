/* SPDX-License-Identifier: Apache-2.0 */
/* part.h -- the one formula that cuts n things over p places. */
#ifndef PART_H
#define PART_H

#include <stdint.h>

/* Where part i of p begins, 0 <= i <= p; part i is [begin(i), begin(i+1)).
 * Sizes differ by at most one and the first parts are the larger ones. */
static inline int64_t part_begin(int64_t n, int p, int i)
{
    const int64_t q = n / p, r = n % p;
    return q * i + (i < r ? i : r);
}

#endif
