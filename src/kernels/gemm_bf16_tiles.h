/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_bf16_tiles.h -- products of bf16 rows with panels, by tiles of AMX (amx.h).
 *
 * Every element begins with zero or with what is in C, and gets the sums of 32 k at a time [E49],
 * in the order of k.  It depends only on its row and its column.
 */
#ifndef GEMM_BF16_TILES_H
#define GEMM_BF16_TILES_H

#include "src/kernels/gemm.h"

/* The product p on the calling thread; ldc and panels_K are set, k0 and K are as gemm_bf16.h says.
 * Only for processors with tiles.  Local.  2 N M K flops. */
void gemm_bf16_tiles(const struct gemm_bf16 *p);

/* The same in plain C: what tests and the check at a run's start compare with.  Local. */
void gemm_bf16_tiles_ref(const struct gemm_bf16 *p);

#endif
