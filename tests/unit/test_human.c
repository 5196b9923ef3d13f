/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and sizes: every branch once, on both sides of its edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "src/base/human.h"

static void durations(void **state)
{
    (void)state;
    char t[HUMAN_TEXT];
    assert_string_equal(human_duration(t, 0), "0.0s");
    assert_string_equal(human_duration(t, 9.94), "9.9s");
    assert_string_equal(human_duration(t, 9.96), "9s");
    assert_string_equal(human_duration(t, 59.9), "59s");
    assert_string_equal(human_duration(t, 60), "1m00s");
    assert_string_equal(human_duration(t, 3599), "59m59s");
    assert_string_equal(human_duration(t, 3660), "1h01m");
    assert_string_equal(human_duration(t, 90000), "1d01h");
    assert_string_equal(human_duration(t, -1), "-");
    assert_string_equal(human_duration(t, NAN), "-");
    assert_string_equal(human_duration(t, INFINITY), "-");
    assert_string_equal(human_duration(t, 1e300), "-");
}

static void sizes(void **state)
{
    (void)state;
    char t[HUMAN_TEXT];
    assert_string_equal(human_bytes(t, 0), "0 B");
    assert_string_equal(human_bytes(t, 1023), "1023 B");
    assert_string_equal(human_bytes(t, 1024), "1 KiB");
    assert_string_equal(human_bytes(t, 1536), "1.5 KiB");
    assert_string_equal(human_bytes(t, 5LL << 30), "5 GiB");
    assert_string_equal(human_bytes(t, 1000LL << 20), "0.977 GiB");
    assert_string_equal(human_bytes(t, INT64_MAX), "8 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(durations), cmocka_unit_test(sizes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
