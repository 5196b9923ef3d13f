/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/smm_x86.h"

#ifdef __x86_64__
#include "src/kernels/unroll.h"
#include "src/kernels/x86_vectors.h"

/* The first n of a vector. */
__attribute__((target("avx2"))) static inline __m256i avx2_part(int n)
{
#ifdef TTT_F64
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
#else
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#endif
}

/* 16 registers: 12 sums, two vectors of B, one number of A. */
#define NAME(x) avx2_##x
#define TARGET TARGET_AVX2
#define VEC WIDE(256)
#define MASK __m256i
#define LANES (32 / BYTES)
#define ACROSS 2
#define ROWS 6
#define NARROW_ROWS 6
#define LOAD OF(_mm256_loadu)
#define STORE OF(_mm256_storeu)
#define PART avx2_part
#define LOAD_PART OF(_mm256_maskload)
#define STORE_PART OF(_mm256_maskstore)
#define SPREAD OF(_mm256_set1)
#define FMA OF(_mm256_fmadd)
#define ZERO OF(_mm256_setzero)
#include "src/kernels/smm_tile.h"

/* 32 registers: 24 sums, four vectors of B. */
#define NAME(x) avx512_##x
#define TARGET TARGET_AVX512
#define VEC WIDE(512)
#define MASK __mmask16
#define LANES (64 / BYTES)
#define ACROSS 4
#define ROWS 6
#define NARROW_ROWS 12
#define LOAD OF(_mm512_loadu)
#define STORE OF(_mm512_storeu)
#define PART(n) ((MASK)((1u << (n)) - 1))
#define LOAD_PART(at, part) OF(_mm512_maskz_loadu)((part), (at))
#define STORE_PART OF(_mm512_mask_storeu)
#define SPREAD OF(_mm512_set1)
#define FMA OF(_mm512_fmadd)
#define ZERO OF(_mm512_setzero)
#include "src/kernels/smm_tile.h"

smm_x86_fn *smm_x86(enum isa isa)
{
    if (isa >= ISA_AVX512) return avx512_sum;
    return isa == ISA_AVX2 ? avx2_sum : NULL;
}

#else

smm_x86_fn *smm_x86(enum isa isa)
{
    (void)isa;
    return NULL;
}

#endif
