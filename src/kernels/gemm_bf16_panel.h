/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_bf16_panel.h -- products of bf16 rows with one panel, by the instruction of AVX512_BF16.
 *
 * Every element is one sum in the order of k, two products at a time as the instruction takes them.
 * It begins with zero or with what is in C, and depends only on its row and its column.
 */
#ifndef GEMM_BF16_PANEL_H
#define GEMM_BF16_PANEL_H

#include "src/kernels/bf16.h"

/* C (n,64), rows ldc apart, = or, with `add`, += A B: A (n,K) rows, B one panel (K,64) (bf16.h); K
 * is a multiple of 32.  Only for processors with the instruction (isa.h).  Local, on the calling
 * thread.  128 n K flops. */
void gemm_bf16_panel(real *C, int ldc, const bf16 *A, const bf16 *B, int n, int K, int add);

#endif
