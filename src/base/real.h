/* SPDX-License-Identifier: Apache-2.0 */
/* real.h -- the one floating-point type of weights, activations and states.
 *
 * float in the program that users run; double in the build of `make f64` from
 * the same sources, where finite differences and golden comparisons run.  Sums
 * that must not lose digits are double in both.
 */
#ifndef REAL_H
#define REAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef TTT_F64
typedef double real;
#define REAL_DTYPE "F64"
#define REAL_EPS 2.220446049250313e-16
#else
typedef float real;
#define REAL_DTYPE "F32"
#define REAL_EPS 1.1920928955078125e-07
#endif

/* Alignment of arrays in bytes, so that the shape of no loop depends on an address. */
#define ALIGN_BYTES 64
#define ALIGN_REALS ((int64_t)(ALIGN_BYTES / sizeof(real)))

/* n rounded up, so that the next array is aligned again. */
static inline int64_t align_reals(int64_t n)
{
    return (n + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS;
}

/* The compiler makes one version of a function per instruction set, and the
 * loader chooses one.  Sums are never reassociated (no -ffast-math), so the
 * versions differ only in speed, provided that a fused multiply-add is always
 * written as fma().  With clang it is clones.awk that makes them: CLONES stands alone on
 * its line. */
#if defined(__clang__)
#define CLONES
#elif defined(__x86_64__) && defined(TTT_V3)   /* what a processor with AVX2 runs */
#define CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && !defined(TTT_NO_CLONES)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

#endif
