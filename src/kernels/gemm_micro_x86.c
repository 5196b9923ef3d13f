/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/gemm_micro_x86.h"

#ifdef __x86_64__
#include "src/kernels/unroll.h"
#include "src/kernels/x86_vectors.h"

/* sum += x y, in the sum's register.  With the intrinsic function GCC 12 changes the register of a
 * sum from step to step, and where few are free keeps some on the stack: a quarter of the speed. */
#ifdef TTT_F64
#define MULTIPLY_ADD "vfmadd231pd"
#else
#define MULTIPLY_ADD "vfmadd231ps"
#endif
#define FMA(sum, x, y) __asm__ (MULTIPLY_ADD " %2, %1, %0" : "+v" (sum) : "v" (x), "v" (y))

/* 16 registers: 12 sums, two vectors of b, one number of a. */
#define NAME(x) avx2_##x
#define TARGET TARGET_AVX2
#define VEC WIDE(256)
#define LANES (32 / BYTES)
#define VECTORS 2
#define ROWS 6
#define MOVE 8
#define LOAD OF(_mm256_loadu)
#define STORE OF(_mm256_storeu)
#define SPREAD OF(_mm256_set1)
#define PLUS OF(_mm256_add)
#define ZERO OF(_mm256_setzero)
#include "src/kernels/gemm_micro_tile.h"

/* 32 registers: 27 sums, three vectors of b, one number of a. */
#define NAME(x) avx512_##x
#define TARGET TARGET_AVX512
#define VEC WIDE(512)
#define LANES (64 / BYTES)
#define VECTORS 3
#define ROWS 9
#define MOVE 16
#define LOAD OF(_mm512_loadu)
#define STORE OF(_mm512_storeu)
#define SPREAD OF(_mm512_set1)
#define PLUS OF(_mm512_add)
#define ZERO OF(_mm512_setzero)
#include "src/kernels/gemm_micro_tile.h"

const struct gemm_micro *gemm_micro_x86(enum isa isa)
{
    if (isa >= ISA_AVX512) return &avx512_micro;
    return isa == ISA_AVX2 ? &avx2_micro : NULL;
}

#else

const struct gemm_micro *gemm_micro_x86(enum isa isa)
{
    (void)isa;
    return NULL;
}

#endif
