/* fixed.h -- sums of doubles that do not depend on their order.
 *
 * A double is cut into two integers, hi * 2^-20 + lo * 2^-64 with |lo| < 2^44,
 * and both are added as integers.  What is below 2^-65 is rounded away once
 * per term.  Good for |sum| < 2^43 and 2^19 terms of any size below that;
 * the integers can be added over ranks by any reduction.
 */
#ifndef FIXED_H
#define FIXED_H

#include <math.h>
#include <stdint.h>

struct fixed { int64_t hi, lo; };

/* s += x; x must be finite and |x| < 2^42 (the caller checks). */
static inline void fixed_add(struct fixed *s, double x)
{
    const double hi = floor(x * 0x1p20);
    s->hi += (int64_t)hi;
    s->lo += (int64_t)rint((x - hi * 0x1p-20) * 0x1p64);
}

static inline void fixed_join(struct fixed *s, struct fixed t)
{
    s->hi += t.hi;
    s->lo += t.lo;
}

static inline double fixed_value(struct fixed s)
{
    return (double)s.hi * 0x1p-20 + (double)s.lo * 0x1p-64;
}

#endif
