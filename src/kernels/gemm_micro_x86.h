/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_micro_x86.h -- the micro-kernels that x86-64 has (gemm_micro.h). */
#ifndef GEMM_MICRO_X86_H
#define GEMM_MICRO_X86_H

#include "src/kernels/gemm_micro.h"

/* NULL if there are none for this instruction set.  Local. */
const struct gemm_micro *gemm_micro_x86(enum isa isa);

#endif
