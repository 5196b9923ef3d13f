/* SPDX-License-Identifier: Apache-2.0 */
/* numeric.h -- what tests of numbers share.
 *
 * Kernels work on reals; what they should give is computed in double by plain
 * loops in the test.  A gradient's oracle is the slope of that plain forward:
 * five points, good to about 1e-11, so it serves the float and the double
 * tree alike.
 */
#ifndef NUMERIC_H
#define NUMERIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail  /* a macro there, a function here */

#include <math.h>
#include <omp.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/real.h"
#include "src/base/rng.h"

/* Rounding errors that may add up in one element. */
#define ULPS(n) ((n) * REAL_EPS)

/* Arrays of a test, until release(). */
static void *held[256];
static int   n_held;

static inline void *hold(int64_t n, size_t size)
{
    assert_true(n_held < (int)(sizeof held / sizeof *held));
    return held[n_held++] = mem_new(n, size, "test");
}

static inline void release(void)
{
    while (n_held > 0) mem_free(held[--n_held]);
}

/* n reals that are zero, or standard normal numbers of stream `seed`. */
static inline real *zeros(int64_t n) { return hold(n, sizeof(real)); }

static inline real *noise(int64_t n, uint64_t seed)
{
    real *x = zeros(n);
    for (int64_t i = 0; i < n; i++) x[i] = (real)rng_normal(seed, (uint64_t)i);
    return x;
}

static inline real *copy(const real *x, int64_t n)
{
    return memcpy(zeros(n), x, (size_t)n * sizeof *x);
}

/* The same numbers in double. */
static inline double *widen(const real *x, int64_t n)
{
    double *y = hold(n, sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

static inline double dot(const real *a, const real *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* |got - want| <= tol * max(1, largest |want|), everywhere. */
static inline int is_close(const real *got, const double *want, int64_t n, double tol)
{
    double scale = 1;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < n; i++) {
        if (fabs((double)got[i] - want[i]) <= tol * scale) continue;
        print_error("element %lld: %.17g, not %.17g (scale %g)\n", (long long)i, (double)got[i],
                    want[i], scale);
        return 0;
    }
    return 1;
}

#define assert_close(got, want, n, tol) assert_true(is_close(got, want, n, tol))
#define assert_same(a, b, n) assert_memory_equal(a, b, (size_t)(n) * sizeof *(a))
#define assert_other(a, b, n) assert_memory_not_equal(a, b, (size_t)(n) * sizeof *(a))

/* d f(ctx) / d *x. */
static inline double slope(double (*f)(void *ctx), void *ctx, double *x)
{
    const double h = 1e-3, keep = *x;
    double v[4];
    for (int i = 0; i < 4; i++) {
        *x = keep + h * (i < 2 ? i - 2 : i - 1);
        v[i] = f(ctx);
    }
    *x = keep;
    return (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * h);
}

/* grad[i] = d f / d x[i], all of x. */
static inline double *slopes(double (*f)(void *ctx), void *ctx, double *x, int64_t n)
{
    double *grad = hold(n, sizeof *grad);
    for (int64_t i = 0; i < n; i++) grad[i] = slope(f, ctx, x + i);
    return grad;
}

#endif
