/* SPDX-License-Identifier: Apache-2.0 */
/* row_sum.h -- the sum of a short row in 16 fixed lanes of reals.  It vectorises for any
 * instruction set and gives the same bits on all of them.  (lanes.h sums long rows in double.)
 */
#ifndef ROW_SUM_H
#define ROW_SUM_H

#include <string.h>

#include "src/base/real.h"
#include "src/kernels/transpose.h"
#include "src/kernels/unroll.h"

#define ROW_LANES 16

/* lane[] and rest, which this declares: lane k has the terms i = k, k + 16, ... of `expr`, an
 * expression in i, as far as whole lanes of 0..F-1 go; rest has the others. */
#define ROW_LANE_SUMS(lane, rest, F, expr)                                     \
    real lane[ROW_LANES] = { 0 }, rest = 0;                                    \
    do {                                                                       \
        int i_ = 0;                                                            \
        for (; i_ + ROW_LANES <= (F); i_ += ROW_LANES)                         \
            for (int k_ = 0; k_ < ROW_LANES; k_++) {                           \
                const int i = i_ + k_;                                         \
                lane[k_] += (expr);                                            \
            }                                                                  \
        for (int i = i_; i < (F); i++) rest += (expr);                         \
    } while (0)

/* result = sum over i = 0..F-1 of `expr`. */
#define ROW_SUM(result, F, expr)                                               \
    do {                                                                       \
        ROW_LANE_SUMS(lane_, sum_, F, expr);                                   \
        for (int k_ = 0; k_ < 8; k_++) lane_[k_] += lane_[k_ + 8];             \
        for (int k_ = 0; k_ < 4; k_++) lane_[k_] += lane_[k_ + 4];             \
        (result) = sum_ + ((lane_[0] + lane_[2]) + (lane_[1] + lane_[3]));     \
    } while (0)

/* The same for many rows at once: ROW_FOLD leaves eight lanes of row n, and what is left over, and
 * row_sums() adds the lanes of eight rows at a time, across the rows: a sum's own last additions
 * would leave most of a vector idle. */
#define ROW_BLOCK 16
#define ROW_EIGHT 8
struct row_folds { real lane[ROW_BLOCK][ROW_EIGHT], rest[ROW_BLOCK]; };

#define ROW_FOLD(folds, n, F, expr)                                            \
    do {                                                                       \
        ROW_LANE_SUMS(lane_, sum_, F, expr);                                   \
        for (int k_ = 0; k_ < ROW_EIGHT; k_++)                                 \
            (folds)->lane[n][k_] = lane_[k_] + lane_[k_ + ROW_EIGHT];          \
        (folds)->rest[n] = sum_;                                               \
    } while (0)

/* sum (ROW_BLOCK) [out]. */
__attribute__((always_inline)) static inline void row_sums(real *sum, const struct row_folds *f)
{
#ifdef TTT_F64
    for (int n = 0; n < ROW_BLOCK; n++) {
        real four[4];
        for (int k = 0; k < 4; k++) four[k] = f->lane[n][k] + f->lane[n][k + 4];
        sum[n] = f->rest[n] + ((four[0] + four[2]) + (four[1] + four[3]));
    }
#else
    typedef float row8 __attribute__((vector_size(sizeof(transpose_row))));
    for (int n = 0; n < ROW_BLOCK; n += ROW_EIGHT) {
        transpose_row r[ROW_EIGHT];
        row8 t[4], rest;
        memcpy(&rest, f->rest + n, sizeof rest);
        UNROLL(8)
        for (int k = 0; k < ROW_EIGHT; k++) memcpy(&r[k], f->lane[n + k], sizeof r[k]);
        transpose_registers(r);
        UNROLL(4)
        for (int k = 0; k < 4; k++) t[k] = (row8)r[k] + (row8)r[k + 4];
        rest += (t[0] + t[2]) + (t[1] + t[3]);
        memcpy(sum + n, &rest, sizeof rest);
    }
#endif
}

#endif
