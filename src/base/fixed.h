/* SPDX-License-Identifier: Apache-2.0 */
/* fixed.h -- sums of doubles that do not depend on their order.
 *
 * A double is cut into two integers, hi * 2^-20 + lo * 2^-64, and both are added as
 * integers; lo carries into hi, so that 0 <= lo < 2^44 however many terms there are.  Each
 * term is rounded once, by at most 2^-65.  The sum must stay below 2^43 in absolute value.
 * The integers of up to 2^19 sums, of ranks or tiles, can be added by any reduction.
 */
#ifndef FIXED_H
#define FIXED_H

#include <math.h>
#include <stdint.h>

struct fixed { int64_t hi, lo; };

/* a + b modulo 2^64: partial sums may be larger than the final one. */
static inline int64_t fixed_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline struct fixed fixed_carry(struct fixed s)
{
    return (struct fixed){ fixed_wrap(s.hi, s.lo >> 44), s.lo & (((int64_t)1 << 44) - 1) };
}

/* s += x; the caller has checked that x is finite and |x| < 2^42. */
static inline void fixed_add(struct fixed *s, double x)
{
    const double hi = floor(x * 0x1p20);
    s->hi = fixed_wrap(s->hi, (int64_t)hi);
    s->lo += (int64_t)rint((x - hi * 0x1p-20) * 0x1p64);
    *s = fixed_carry(*s);
}

/* s += t. */
static inline void fixed_join(struct fixed *s, struct fixed t)
{
    s->hi = fixed_wrap(s->hi, t.hi);
    s->lo += t.lo;
    *s = fixed_carry(*s);
}

static inline double fixed_value(struct fixed s)
{
    s = fixed_carry(s);  /* one (hi, lo) for each sum, whatever the order of terms was */
    return (double)s.hi * 0x1p-20 + (double)s.lo * 0x1p-64;
}

#endif
