/* SPDX-License-Identifier: Apache-2.0 */
/* test_vecmath.c -- exp, tanh and the logistic function against libm. */
#include "tests/unit/numeric.h"

#include "src/kernels/vecmath.h"

/* Next place to look: every 997th float, so all exponents and odd mantissas. */
static float further(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += 997;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Largest |f/g - 1| over both signs of 1e-20 .. far. */
static double worst(real (*f)(real), double (*g)(double), float far, double *where)
{
    double most = 0;
    for (float x = 1e-20f; x < far; x = further(x)) {
        for (int sign = -1; sign <= 1; sign += 2) {
            const double at = sign * (double)x, off = fabs((double)f((real)at) / g(at) - 1);
            if (!(off <= most)) {
                most = off;
                *where = at;
            }
        }
    }
    return most;
}

static real exp_(real x) { return vexp(x); }
static real sigmoid_(real x) { return vsigmoid(x); }
static double logistic(double x) { return 1 / (1 + exp(-x)); }

static void relative_errors(void **state)
{
    (void)state;
    double where = 0;
    const double e = worst(exp_, exp, 86.9f, &where);
    print_message("exp      %.3g at %g\n", e, where);
    assert_true(e < 0.8 * REAL_EPS);
    const double s = worst(sigmoid_, logistic, 87.3f, &where);
    print_message("logistic %.3g at %g\n", s, where);
    assert_true(s < 2 * REAL_EPS);
}

static real exp2_(real x) { return vexp2(-fabs(x)); }
static double decay(double x) { return exp2(-fabs(x)); }
static real power(real x) { return vexp2(x); }
static real softplus_(real x) { return vsoftplus(x); }
static double soft(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

/* What a state space decays by: exact near 1, where errors add up over many tokens. */
static void decays_and_steps(void **state)
{
    (void)state;
    double where = 0;
    const double e = worst(exp2_, decay, 126, &where);
    print_message("exp2     %.3g at %g\n", e, where);
    assert_true(e < 0.8 * REAL_EPS);
    assert_true(worst(exp2_, decay, 1e-2f, &where) < 0.51 * REAL_EPS);
    assert_true(worst(power, exp2, 126, &where) < 0.8 * REAL_EPS);
    const double s = worst(softplus_, soft, (float)86.9, &where);
    print_message("softplus %.3g at %g\n", s, where);
    assert_true(s < 2 * REAL_EPS);
    assert_true(vexp2(0) == 1 && vexp2((real)-1e30) < 1e-37 && vexp2(-INFINITY) < 1e-37);
    assert_true(isnan(vexp2((real)NAN)) && isnan(vsoftplus((real)NAN)));
    assert_true(vsoftplus(1000) == 1000 && vsoftplus(-1000) == 0 && isinf(vsoftplus(INFINITY)));
}

static void ends_of_the_range(void **state)
{
    (void)state;
    assert_true(vexp(0) == 1 && vexp((real)-0.0) == 1);
    assert_true(vexp((real)-INFINITY) == 0 && vexp(-1000) == 0 && vexp((real)-1e30) == 0);
    assert_true(isinf(vexp((real)INFINITY)) && isinf(vexp(1000)) && isinf(vexp((real)1e30)));
    assert_true(isnan(vexp((real)NAN)) && isnan(vsigmoid((real)NAN)));
    assert_true(isnan(vexp((real)nan("291"))) && isnan(vexp(-(real)nan("77"))));
    assert_true(vexp((real)-86.9) > 0 && vexp((real)-87) < 1e-37 && vexp((real)88.71) > 3e38);
    /* exp(88.7) needs 2^128, which no float holds, though the result is one. */
    assert_true(fabs((double)vexp((real)88.7f) / exp((double)88.7f) - 1) < REAL_EPS);
    assert_true(vsigmoid(1000) == 1 && vsigmoid(-1000) == 0 && vsigmoid(0) == (real)0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relative_errors),
        cmocka_unit_test(decays_and_steps),
        cmocka_unit_test(ends_of_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
