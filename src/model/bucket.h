/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h -- the parts of the gradient that are added up one by one, and who owns what of them.
 *
 * A bucket is a layer, the final norm (with an untied head), or the embedding; its number is that
 * of OP_REDUCE (plan/step_plan.h).  It is cut into tiles (base/tiling.h), and its tiles are dealt
 * out in contiguous runs to the ranks that hold it:
 *
 *   bucket   | tile 0 | tile 1 | tile 2 | tile 3 | tile 4 |
 *   owner    |   rank 0        |   rank 1        | rank 2 |
 *   cut      0                 1                 2        3
 */
#ifndef BUCKET_H
#define BUCKET_H

#include <stdint.h>

#include "src/model/model.h"

/* cut (holders + 1) [out]: where each owner's run begins in the flat array, and where the last
 * one ends. */
void bucket_cut(int64_t *cut, const struct model *m, int bucket, int holders);

/* The bucket of parameter i. */
int bucket_of(const struct model *m, int i);

#endif
