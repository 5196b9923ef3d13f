/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_stats.h -- numbers about a tensor's values, and about two tensors. */
#ifndef TENSOR_STATS_H
#define TENSOR_STATS_H

#include <stdint.h>

#include "src/store/tensor.h"

struct tensor_stats {
    int64_t n, bad;                     /* elements; NaN or infinite ones    */
    double  mean, std, min, max, norm;  /* over the finite ones; 0 if n == 0 */
};
void tensor_stats(struct tensor_stats *s, const struct tensor *t);

/* Is this still what it was initialised to: all 0, all 1, or random with mean 0 and standard
 * deviation init_std (within 1 %, or four standard errors)?
 * returns 1 yes, 0 no, -1: too small to tell */
int tensor_looks_untrained(const struct tensor_stats *s, double init_std);

/* Two tensors of one shape and type, compared bit by bit. */
struct tensor_diff {
    int64_t differ, first;  /* elements with other bits, the first of them; -1: none */
    double  max_abs, rms;   /* of the difference of values, NaN ignored              */
};
void tensor_diff(struct tensor_diff *d, const struct tensor *a, const struct tensor *b);

#endif
