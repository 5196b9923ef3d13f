/* SPDX-License-Identifier: Apache-2.0 */
/* x86_vectors.h -- names that a kernel written for AVX2 and AVX-512 has in common for float and double,
 * so that one text serves both builds (smm_x86.c, gemm_micro_x86.c).  Only on x86-64. */
#ifndef X86_VECTORS_H
#define X86_VECTORS_H

#include <immintrin.h>

/* OF(_mm256_add): the operation on reals.  WIDE(256): a vector of them.  BYTES: of a real. */
#ifdef TTT_F64
#define OF(op) op##_pd
#define WIDE(bits) __m##bits##d
#define BYTES 8
#else
#define OF(op) op##_ps
#define WIDE(bits) __m##bits
#define BYTES 4
#endif

#define TARGET_AVX2 __attribute__((target("avx2,fma")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma")))

#endif
