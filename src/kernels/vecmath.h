/* vecmath.h -- exp and its kin as inline functions that vectorise.
 *
 * In float: one polynomial for the vector body and the remainder of a loop,
 * because a vector library beside libm would give the same element two
 * values, depending on where it stands.  In double (the tree that checks the
 * mathematics): libm.
 */
#ifndef VECMATH_H
#define VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "src/base/real.h"

#ifdef TTT_F64

static inline real vexp(real x) { return exp(x); }
static inline real vfma(real a, real b, real c) { return fma(a, b, c); }

#else

static inline real vfma(real a, real b, real c) { return __builtin_fmaf(a, b, c); }

/* exp by 2^n e^r, n = round(x log2 e), |r| <= ln2 / 2, polynomial of degree 6:
 * relative error below 2e-7.  Saturates to 0 below -87.33 and to infinity
 * above 88.72; NaN stays NaN. */
static inline real vexp(real x)
{
    const float n = __builtin_rintf(x * 0x1.715476p+0f);
    const float r = vfma(n, -0x1.7f7d1cp-20f, vfma(n, -0x1.62e4p-1f, x));
    float p = 0x1.6850e4p-10f;
    p = vfma(p, r, 0x1.123bccp-7f);
    p = vfma(p, r, 0x1.555b98p-5f);
    p = vfma(p, r, 0x1.55548ep-3f);
    p = vfma(p, r, 0x1.fffff8p-2f);
    p = vfma(p, r, 1.0f);
    p = vfma(p, r, 1.0f);
    const float m = n < -126.0f ? -126.0f : n > 127.0f ? 127.0f : n;
    const int32_t bits = ((int32_t)(m == m ? m : 0.0f) + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    const float y = p * scale;
    return x < -87.33f ? 0.0f : x > 88.72f ? INFINITY : x == x ? y : x;
}

#endif

static inline real vsigmoid(real x) { return 1 / (1 + vexp(-x)); }
static inline real vtanh(real x)
{
    /* 1 - 2/(e^2x + 1) loses digits near 0; the odd series takes over there. */
    const real t = x * x;
    const real small = x * vfma(t, vfma(t, vfma(t, (real)(-17.0 / 315), (real)(2.0 / 15)),
                                        (real)(-1.0 / 3)), 1);
    const real big = 1 - 2 / (vexp(2 * x) + 1);
    return t < (real)(sizeof(real) == 4 ? 0.01 : 1e-5) ? small : big;
}

#endif
