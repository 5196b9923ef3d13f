/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_limits.h -- what a checkpoint can hold (store/FORMAT.md).  The files are written and read in
 * src/store; a configuration is checked against these limits before a run begins, so that no run
 * begins that cannot be saved. */
#ifndef CKPT_LIMITS_H
#define CKPT_LIMITS_H

#include "src/base/ranges.h"

#define TENSOR_COUNT 65536           /* tensors, at most                           */
#define WRITER_FILES 1000            /* files of tensors, at most                  */
#define CKPT_COUNTER RANGES_LARGEST  /* counters among the scalars are smaller     */

#endif
