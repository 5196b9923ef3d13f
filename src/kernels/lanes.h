/* SPDX-License-Identifier: Apache-2.0 */
/* lanes.h -- what kernels on rows share: sums in fixed lanes, and how rows and columns are cut for
 * threads.
 *
 * A compiler may not reorder a sum, so a plain one takes the latency of an addition for each term.
 * Here the order is fixed by this text: term i goes to lane i mod 16, and the lanes are added in
 * pairs, 8 and 8, 4 and 4, and so on.  That vectorises for any instruction set and gives the same
 * bits on all.
 */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>

#include <omp.h>

#include "src/kernels/vecmath.h"

#define LANES 16

/* Sums over rows.  Columns are cut into strips of at most STRIP columns, each of which belongs to
 * one thread, so this cut changes no bit.  The order down a strip does, and is fixed: every
 * GROUP_ROWS rows are added up as reals, these sums in double, and after every CHUNK_ROWS rows,
 * while they are in the cache, the sum is added to its place. */
#define STRIP 512
#define GROUP_ROWS 16
#define CHUNK_ROWS 256

/* Elements below which starting threads costs more than they save. */
#define PARALLEL_MIN 16384

static inline int at_most(int n, int most) { return n < most ? n : most; }

/* Columns of a strip, so that every thread gets one if that is not too narrow. */
static inline int strip_columns(int C)
{
    const int each = (C + omp_get_max_threads() - 1) / omp_get_max_threads();
    return at_most((each + 63) / 64 * 64, STRIP);
}

/* sum (a double) = sum over i = 0..n-1 of `term`, an expression in i. */
#define LANE_SUM(sum, i, n, term) do {                                        \
    double lane_[LANES] = { 0 };                                              \
    const int whole_ = (n) / LANES * LANES;                                   \
    for (int b_ = 0; b_ < whole_; b_ += LANES) {                              \
        for (int k_ = 0; k_ < LANES; k_++) {                                  \
            const int i = b_ + k_;                                            \
            lane_[k_] += (term);                                              \
        }                                                                     \
    }                                                                         \
    double rest_ = 0;                                                         \
    for (int i = whole_; i < (n); i++) rest_ += (term);                       \
    for (int h_ = LANES / 2; h_ > 0; h_ /= 2)                                 \
        for (int k_ = 0; k_ < h_; k_++) lane_[k_] += lane_[k_ + h_];          \
    (sum) = lane_[0] + rest_;                                                 \
} while (0)

#endif
