/* row_sum.h -- the sum of a short row in 16 fixed lanes of reals.  It vectorises for any
 * instruction set and gives the same bits on all of them.  (lanes.h sums long rows in double.)
 */
#ifndef ROW_SUM_H
#define ROW_SUM_H

#define ROW_LANES 16

/* result = sum over i = 0..F-1 of `expr`, an expression in i. */
#define ROW_SUM(result, F, expr)                                               \
    do {                                                                       \
        real lane_[ROW_LANES] = { 0 }, sum_ = 0;                               \
        int i_ = 0;                                                            \
        for (; i_ + ROW_LANES <= (F); i_ += ROW_LANES)                         \
            for (int k_ = 0; k_ < ROW_LANES; k_++) {                           \
                const int i = i_ + k_;                                         \
                lane_[k_] += (expr);                                           \
            }                                                                  \
        for (int i = i_; i < (F); i++) sum_ += (expr);                         \
        for (int k_ = 0; k_ < 8; k_++) lane_[k_] += lane_[k_ + 8];             \
        for (int k_ = 0; k_ < 4; k_++) lane_[k_] += lane_[k_ + 4];             \
        (result) = sum_ + ((lane_[0] + lane_[2]) + (lane_[1] + lane_[3]));     \
    } while (0)

#endif
