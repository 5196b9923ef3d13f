/* SPDX-License-Identifier: Apache-2.0 */
/* decode_zstd.h -- zstd: any number of frames and skippable frames, with windows of up to 2 GiB
 * (zstd --long=31), which count as memory of ours. */
#ifndef DECODE_ZSTD_H
#define DECODE_ZSTD_H

#include "data_prep/decoder.h"

#define ZSTD_MAX_WINDOW ((int64_t)1 << 31)  /* bytes of memory for one decoder */

extern const struct decoder decode_zstd;

#endif
