/* gemm_bf16_panel.h -- products of bf16 rows with one panel, by the instruction of AVX512_BF16.
 *
 * Every element is one sum in the order of k, two products at a time as the instruction takes them,
 * that begins with zero or with what is in C: it depends on its row and its column alone.
 */
#ifndef GEMM_BF16_PANEL_H
#define GEMM_BF16_PANEL_H

#include "src/kernels/bf16.h"

/* C (n,64) = or += A (n,K) B: rows, and a panel (bf16.h); K a multiple of 32.  Local; one thread.
 * Only for processors with the instruction (kernels/isa.h). */
void gemm_bf16_panel(real *C, int ldc, const bf16 *A, const bf16 *B, int n, int K, int add);

#endif
