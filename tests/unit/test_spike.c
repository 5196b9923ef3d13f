/* SPDX-License-Identifier: Apache-2.0 */
/* Samples that are left out, and losses that are out of line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "src/base/ranges.h"
#include "src/base/rng.h"
#include "src/optim/spike.h"

#include <cmocka.h>

enum { N = 300 };

/* Random ranges against an array of marks. */
static void ranges_are_sets(void **state)
{
    (void)state;
    const uint64_t key = rng_key(1, "ranges");
    uint64_t draw = 0;

    for (int round = 0; round < 2000; round++) {
        struct ranges r = { 0 }, back;
        char text[RANGES_TEXT], in[2 * N] = { 0 };
        for (int i = (int)(rng_u64(key, draw++) % 12); i > 0; i--) {
            const int64_t lo = (int64_t)(rng_u64(key, draw++) % N);
            const int64_t hi = lo + (int64_t)(rng_u64(key, draw++) % 20);
            assert_int_equal(ranges_add(&r, lo, hi), 1);
            memset(in + lo, 1, (size_t)(hi - lo));
        }
        for (int i = 1; i < r.n; i++) assert_true(r.r[i - 1].hi < r.r[i].lo);
        const int64_t from = (int64_t)(rng_u64(key, draw++) % N);
        for (int64_t x = from, k = 0; x < 2 * N; x++)
            if (!in[x]) assert_int_equal(ranges_nth_outside(&r, from, k++), x);
        assert_int_equal(ranges_parse(&back, ranges_show(text, &r)), 1);
        assert_int_equal(back.n, r.n);
        assert_memory_equal(back.r, r.r, (size_t)r.n * sizeof *r.r);
    }
}

static void texts_of_ranges(void **state)
{
    (void)state;
    static const char *const wrong[] = { "-", "1-", "-1", "2-1", "1,", ",1", "1,,2", "1 2", "a",
                                         "1-2-3", "99999999999999999999", "0x1" };
    struct ranges r;
    char text[RANGES_TEXT];

    assert_int_equal(ranges_parse(&r, "7,100-199,8-9"), 1);
    assert_string_equal(ranges_show(text, &r), "7-9,100-199");
    assert_int_equal(ranges_parse(&r, ""), 1);
    assert_string_equal(ranges_show(text, &r), "");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (ranges_parse(&r, wrong[i])) fail_msg("'%s' was taken", wrong[i]);
    r.n = 0;
    for (int i = 0; i < RANGES_MAX; i++) assert_int_equal(ranges_add(&r, 3 * i, 3 * i + 1), 1);
    assert_int_equal(ranges_add(&r, 1000, 1001), 0);  /* full */
    assert_int_equal(ranges_add(&r, 1, 3), 1);        /* joins two */
    assert_int_equal(r.n, RANGES_MAX - 1);
}

/* A loss as of a training: falling, with noise. */
static double loss_at(uint64_t key, int64_t step)
{
    double noise = 0;
    for (uint64_t i = 0; i < 12; i++)
        noise += (double)(rng_u64(key, 12 * (uint64_t)step + i) >> 11) * 0x1p-53;
    return 2.5 + 8 * pow(1 + (double)step / 50, -0.7) + 0.15 * (noise - 6);
}

static void clean_runs_have_no_spikes(void **state)
{
    (void)state;
    for (int run = 0; run < 20; run++) {
        struct spike s = { 0 };
        const uint64_t key = rng_key((uint64_t)run, "noise");
        for (int64_t step = 0; step < 10000; step++) {
            assert_false(spike_is(&s, loss_at(key, step), 1));
            spike_learn(&s, loss_at(key, step));
        }
        assert_true(fabs(s.mean - loss_at(key, 1000000)) < 1);
    }
}

static void planted_spikes_are_found(void **state)
{
    (void)state;
    struct spike s = { 0 };
    const uint64_t key = rng_key(3, "noise");

    for (int64_t step = 0; step < 5000; step++) {
        const double loss = loss_at(key, step);
        if (step > 1000 && step % 50 == 7) {
            assert_true(spike_is(&s, loss + 2.5, 1));
            assert_false(spike_is(&s, loss + 2.5, 5));  /* not if more is allowed */
        }
        spike_learn(&s, loss);
    }
    assert_true(spike_is(&s, INFINITY, 1));
    s.n = 5;
    assert_false(spike_is(&s, 100, 1));  /* too early to tell */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_sets),
        cmocka_unit_test(texts_of_ranges),
        cmocka_unit_test(clean_runs_have_no_spikes),
        cmocka_unit_test(planted_spikes_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
