/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/status.h"
#include "src/infer/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { V = 7, DRAWS = 40000 };

/* Probabilities .4 .25 .15 .1 .05 .03 .02, at ids in no order. */
static const double share[V] = { .15, .4, .02, .25, .05, .1, .03 };

static void logits_of(real *x)
{
    for (int v = 0; v < V; v++) x[v] = (real)(log(share[v]) + 3);
}

static void count(int64_t n[V], const struct sampler_opts *o)
{
    struct sampler *s;
    real x[V];

    logits_of(x);
    memset(n, 0, V * sizeof *n);
    assert_int_equal(sampler_new(&s, o, V), OK);
    for (int i = 0; i < DRAWS; i++) {
        int32_t token;
        assert_int_equal(sampler_next(s, &token, x, i), OK);
        assert_in_range(token, 0, V - 1);
        n[token]++;
    }
    sampler_free(s);
}

/* Frequencies against p, zero where p is zero; five standard deviations. */
static void expect_shares(const int64_t n[V], const double p[V])
{
    for (int v = 0; v < V; v++) {
        const double mean = DRAWS * p[v], sd = sqrt(DRAWS * p[v] * (1 - p[v]));
        if (p[v] == 0) assert_int_equal(n[v], 0);
        else assert_true(fabs((double)n[v] - mean) < 5 * sd);
    }
}

static void frequencies_are_the_softmax(void **state)
{
    (void)state;
    int64_t n[V];
    count(n, &(struct sampler_opts){ .temperature = 1, .top_p = 1, .seed = 1 });
    expect_shares(n, share);

    /* Temperature 1/2 squares them; and a wrong temperature is noticed. */
    double squared[V], sum = 0;
    for (int v = 0; v < V; v++) sum += share[v] * share[v];
    for (int v = 0; v < V; v++) squared[v] = share[v] * share[v] / sum;
    count(n, &(struct sampler_opts){ .temperature = 0.5, .top_p = 1, .seed = 1 });
    expect_shares(n, squared);
    assert_true(fabs((double)n[1] - DRAWS * share[1]) > 5 * sqrt(DRAWS * .24));
}

static void only_the_k_likeliest(void **state)
{
    (void)state;
    const double want[V] = { 0, .4 / .65, 0, .25 / .65, 0, 0, 0 };
    int64_t n[V];
    count(n, &(struct sampler_opts){ .temperature = 1, .top_k = 2, .top_p = 1, .seed = 2 });
    expect_shares(n, want);
}

static void the_fewest_that_reach_p(void **state)
{
    (void)state;
    const double three[V] = { .15 / .8, .5, 0, .25 / .8, 0, 0, 0 };
    const double both[V] = { 0, .4 / .65, 0, .25 / .65, 0, 0, 0 };
    int64_t n[V];
    count(n, &(struct sampler_opts){ .temperature = 1, .top_p = 0.79, .seed = 3 });
    expect_shares(n, three);
    /* After top-k: .4 and .25 of .65 are the fewest that reach 80 % of it. */
    count(n, &(struct sampler_opts){ .temperature = 1, .top_k = 2, .top_p = 0.8, .seed = 3 });
    expect_shares(n, both);
}

static void greedy_takes_the_first_of_equals(void **state)
{
    (void)state;
    struct sampler *s;
    real x[V] = { 1, 5, 2, 5, 0, 5, -1 };
    int32_t token;
    assert_int_equal(sampler_new(&s, &(struct sampler_opts){ .top_p = 1 }, V), OK);
    assert_int_equal(sampler_next(s, &token, x, 9), OK);
    assert_int_equal(token, 1);
    x[5] = 6;
    assert_int_equal(sampler_next(s, &token, x, 9), OK);
    assert_int_equal(token, 5);
    sampler_free(s);
}

/* A function of seed and position, whatever was drawn before. */
static void draws_repeat(void **state)
{
    (void)state;
    struct sampler *s[3];
    real x[V];
    int other_seed = 0, other_place = 0;

    logits_of(x);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sampler_new(&s[i], &(struct sampler_opts){ .temperature = 1, .top_p = 1,
                                                                    .seed = i == 2 }, V), OK);
    for (int i = 0; i < 100; i++) {
        int32_t a, b, c, d;
        assert_int_equal(sampler_next(s[0], &a, x, i), OK);
        assert_int_equal(sampler_next(s[1], &d, x, i + 100), OK);
        assert_int_equal(sampler_next(s[1], &b, x, i), OK);
        assert_int_equal(sampler_next(s[2], &c, x, i), OK);
        assert_int_equal(a, b);
        other_seed += a != c;
        other_place += a != d;
    }
    assert_true(other_seed > 30 && other_place > 30);
    for (int i = 0; i < 3; i++) sampler_free(s[i]);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct sampler_opts bad[] = {
        { -1, 0, 1, 0 }, { NAN, 0, 1, 0 }, { INFINITY, 0, 1, 0 }, { 1, -1, 1, 0 }, { 1, 0, 0, 0 },
        { 1, 0, 1.1, 0 }, { 1, 0, NAN, 0 },
    };
    struct sampler *s;
    int32_t token;
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        assert_int_equal(sampler_new(&s, &bad[i], V), ERR_USAGE);
        assert_null(s);
    }
    for (int greedy = 0; greedy < 2; greedy++) {
        const real wrong[3] = { NAN, INFINITY, -INFINITY };
        assert_int_equal(sampler_new(&s, &(struct sampler_opts){ .temperature = !greedy,
                                                                 .top_p = 1 }, V), OK);
        for (int i = 0; i < 3; i++) {
            real x[V];
            logits_of(x);
            x[4] = wrong[i];
            assert_int_equal(sampler_next(s, &token, x, 0), ERR_DIVERGED);
        }
        sampler_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_are_the_softmax),
        cmocka_unit_test(only_the_k_likeliest),
        cmocka_unit_test(the_fewest_that_reach_p),
        cmocka_unit_test(greedy_takes_the_first_of_equals),
        cmocka_unit_test(draws_repeat),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
