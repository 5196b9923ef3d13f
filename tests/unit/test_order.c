/* SPDX-License-Identifier: Apache-2.0 */
/* The order of samples is a bijection for every size, differs by seed and
 * epoch, keeps neighbours together, and never changes between releases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "src/base/mem.h"
#include "src/data/order.h"

static void is_a_bijection(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 1, 2, 3, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096, 65537 };

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            const int64_t n = sizes[s];
            char *seen = mem_new(n, 1, "seen");
            for (int64_t k = 0; k < n; k++) {
                const int64_t i = order_sample(7 + (uint64_t)s, epoch, k, n);
                assert_in_range(i, 0, n - 1);
                assert_int_equal(seen[i], 0);
                seen[i] = 1;
            }
            mem_free(seen);
        }
}

/* A random permutation agrees with another one in about one place. */
static int64_t equal_places(uint64_t seed_a, int64_t epoch_a, uint64_t seed_b, int64_t epoch_b,
                            int64_t n)
{
    int64_t equal = 0;
    for (int64_t k = 0; k < n; k++)
        equal += order_sample(seed_a, epoch_a, k, n) == order_sample(seed_b, epoch_b, k, n);
    return equal;
}

static void seeds_and_epochs_differ(void **state)
{
    (void)state;
    assert_in_range(equal_places(1, 0, 2, 0, 10007), 0, 20);
    assert_in_range(equal_places(1, 0, 1, 1, 10007), 0, 20);
    assert_int_equal(equal_places(1, 5, 1, 5, 10007), 10007);
}

/* What is read within a window of time comes from few places: 64 groups, and one more where the
 * short group lies across the window's end. */
static void a_window_reads_few_groups(void **state)
{
    (void)state;
    const int64_t n = 64 * 1000 + 17;

    for (int64_t base = 0; base + ORDER_WINDOW <= n; base += ORDER_WINDOW) {
        char seen[1001] = { 0 };
        int groups = 0;
        for (int64_t k = base; k < base + ORDER_WINDOW; k++) {
            const int64_t group = order_sample(3, 0, k, n) / ORDER_GROUP;
            groups += !seen[group];
            seen[group] = 1;
        }
        assert_in_range(groups, 64, 66);
    }
}

/* Samples next to each other in time are strangers: of two random ones of a window, one in 64
 * shares a group; and their distance is a third of a small data set. */
static void neighbours_in_time_are_strangers(void **state)
{
    (void)state;
    const int64_t n = 64 * 1000 + 17, small = 927;
    int64_t same = 0;
    double distance = 0;

    for (int64_t k = 1; k < n; k++)
        same += order_sample(3, 0, k, n) / ORDER_GROUP == order_sample(3, 0, k - 1, n) / ORDER_GROUP;
    assert_in_range(same, n / 80, n / 50);
    for (int64_t k = 1; k < small; k++)
        distance += (double)llabs(order_sample(3, 0, k, small) - order_sample(3, 0, k - 1, small));
    distance /= (double)(small * small);
    assert_true(distance > 0.31 && distance < 0.36);
}

/* Whether sample i comes early must not depend on where i is: the mean time of
 * the first tenth of the samples is the middle, to five standard errors of a
 * mean over n / 10 / 64 independent groups; and the short group has no fixed
 * place. */
static void time_says_nothing_about_place(void **state)
{
    (void)state;
    const int64_t n = 64 * 20000 + 5;
    double sum = 0.0, at_end = 0.0;

    for (int64_t k = 0; k < n; k++)
        if (order_sample(11, 0, k, n) < n / 10) sum += (double)k / (double)n;
    assert_true(sum / ((double)n / 10) > 0.5 - 5 * 0.2887 / 44.7);
    assert_true(sum / ((double)n / 10) < 0.5 + 5 * 0.2887 / 44.7);
    for (int64_t epoch = 0; epoch < 100; epoch++)
        at_end += order_sample(11, epoch, 64 * 10 + 4, 64 * 10 + 5) >= 64 * 10;
    assert_true(at_end < 40);
}

/* Recorded once: a change here changes every run that is resumed. */
static void never_changes(void **state)
{
    (void)state;
    static const struct { uint64_t seed; int64_t epoch, k, n, sample; } pins[] = {
        { 0, 0, 0, 1000, 628 }, { 0, 0, 1, 1000, 252 }, { 0, 0, 999, 1000, 934 },
        { 42, 3, 500, 65537, 40541 }, { 42, 3, 65536, 65537, 14710 },
        { 1, 0, 123456789012, 1000000000000, 492183626058 },
        { 1, 1, 999999999999, 1000000000000, 250627151791 },
    };
    for (size_t i = 0; i < sizeof pins / sizeof *pins; i++)
        assert_int_equal(order_sample(pins[i].seed, pins[i].epoch, pins[i].k, pins[i].n),
                         pins[i].sample);
}

/* A seek costs the same at 10^12 samples: a million of them in this test would
 * not end if it were a walk from the start. */
static void seek_is_direct(void **state)
{
    (void)state;
    const int64_t n = 1000000000000;
    for (int64_t i = 0; i < 1000000; i++)
        assert_in_range(order_sample(5, 2, n - 1 - i * 999983, n), 0, n - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_bijection),
        cmocka_unit_test(seeds_and_epochs_differ),
        cmocka_unit_test(a_window_reads_few_groups),
        cmocka_unit_test(neighbours_in_time_are_strangers),
        cmocka_unit_test(time_says_nothing_about_place),
        cmocka_unit_test(never_changes),
        cmocka_unit_test(seek_is_direct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
