/* SPDX-License-Identifier: Apache-2.0 */
/* vecmath.h -- exp and functions made of it, inline so that loops over them vectorise.
 *
 * In float there is one polynomial for the vector body of a loop and for its remainder.  A vector
 * library together with libm would give an element two values, depending on its place in the loop.
 * In double, in the build that checks the mathematics, libm does it.
 */
#ifndef VECMATH_H
#define VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "src/base/real.h"

/* A function called from a CLONES body must become part of it: a call would
 * leave the loop scalar, in the oldest instruction set. */
#define INLINE static inline __attribute__((always_inline))

#ifdef TTT_F64

INLINE real vexp(real x) { return exp(x); }
INLINE real vfma(real a, real b, real c) { return fma(a, b, c); }
INLINE real vsqrt(real x) { return sqrt(x); }
INLINE real vexp2(real x) { return exp2(x); }
INLINE real vsoftplus(real x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

#else

INLINE real vfma(real a, real b, real c) { return __builtin_fmaf(a, b, c); }
INLINE real vsqrt(real x) { return __builtin_sqrtf(x); }

/* p 2^n, where t = n + 1.5 * 2^23 holds n in its low bits.  Added to the exponent of p they
 * multiply it by 2^n, also by 2^128, which is no float. */
INLINE float vscale(float p, float t)
{
    uint32_t bits, shift;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&shift, &t, sizeof shift);
    bits += shift << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
}

/* 2^(n-1) of the same t, -126 <= n-1 <= 127. */
INLINE float vhalf_power(float t)
{
    uint32_t bits;
    float power;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits << 23) + (126u << 23);
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* exp by 2^n e^r, n = round(x log2 e), |r| <= ln2 / 2, with a polynomial of degree 6 for 2 e^r:
 * relative error below 1e-7.  0 below -86.98, where n would be -126; infinity where the result is no
 * float; NaN stays NaN.  The last factor does both of the latter: a compiler makes many
 * instructions of a choice of several values in a vector. */
INLINE real vexp(real x)
{
    const float a = x > 89.0f ? 89.0f : x;
    const float t = vfma(a, 0x1.715476p+0f, 0x1.8p23f);
    const float n = t - 0x1.8p23f;
    const float r = vfma(n, -0x1.7f7d1cp-20f, vfma(n, -0x1.62e4p-1f, a));
    float p = 0x1.6850e4p-9f;
    p = vfma(p, r, 0x1.123bccp-6f);
    p = vfma(p, r, 0x1.555b98p-4f);
    p = vfma(p, r, 0x1.55548ep-2f);
    p = vfma(p, r, 0x1.fffff8p-1f);
    p = vfma(p, r, 2.0f);
    p = vfma(p, r, 2.0f);
    p *= vhalf_power(t);
    return x < -86.98f ? 0.0f : p;
}

/* 2^x for x <= 126, 2^-126 below -126: for decays and steps.  As vexp(), except that the constant
 * of the polynomial is 1 and its error 1e-8 of x, so that a decay close to 1 is exact; NaN stays
 * NaN. */
INLINE real vexp2(real x)
{
    const float a = x < -126.0f ? -126.0f : x, t = a + 0x1.8p23f, r = a - (t - 0x1.8p23f);
    float p = 0x1.44138ap-13f;
    p = vfma(p, r, 0x1.5f0890p-10f);
    p = vfma(p, r, 0x1.3b2a54p-7f);
    p = vfma(p, r, 0x1.c6af6cp-5f);
    p = vfma(p, r, 0x1.ebfbe0p-3f);
    p = vfma(p, r, 0x1.62e430p-1f);
    p = vfma(p, r, 1.0f);
    return vscale(p, t);
}

/* log(1 + e^x) = max(x, 0) + log(1 + y), y = e^-|x|, by 2 artanh(s), s = y / (2 + y) <= 1/3, the
 * series to s^13. */
INLINE real vsoftplus(real x)
{
    const float y = vexp(-fabsf(x)), s = y / (2 + y), w = s * s;
    float p = 0x1.3b13b2p-4f;                    /* 1/13 */
    p = vfma(p, w, 0x1.745d18p-4f);              /* 1/11 */
    p = vfma(p, w, 0x1.c71c72p-4f);              /* 1/9  */
    p = vfma(p, w, 0x1.24924ap-3f);              /* 1/7  */
    p = vfma(p, w, 0x1.99999ap-3f);              /* 1/5  */
    p = vfma(p, w, 0x1.555556p-2f);              /* 1/3  */
    const float small = vfma(p * w, 2 * s, 2 * s);
    return (x > 0 ? x : 0) + small;
}

#endif

/* 1 / (1 + e^-x), good to 2 units in the last place on both sides: 1 + e^-x rounds near 1 only
 * where the result is near 1. */
INLINE real vsigmoid(real x) { return 1 / (1 + vexp(-x)); }

#endif
