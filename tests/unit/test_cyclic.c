/* SPDX-License-Identifier: Apache-2.0 */
/* test_cyclic.c -- block-cyclic maps against dealing things out one by one. */
#include "tests/unit/numeric.h"

#include "src/plan/cyclic_plan.h"

static void by_dealing_out(void **state)
{
    (void)state;
    for (int n = 0; n <= 40; n++)
        for (int nb = 1; nb <= 9; nb++)
            for (int p = 1; p <= 5; p++) {
                const struct cyclic c = { n, nb, p };
                int64_t has[5] = { 0 };
                for (int i = 0; i < n; i++) {
                    const int owner = i / nb % p;
                    assert_int_equal(cyclic_owner(&c, i), owner);
                    assert_int_equal(cyclic_local(&c, i), has[owner]);
                    assert_int_equal(cyclic_global(&c, has[owner], owner), i);
                    has[owner]++;
                }
                for (int r = 0; r < p; r++) assert_int_equal(cyclic_count(&c, r), has[r]);
            }
}

static void large(void **state)
{
    (void)state;
    const struct cyclic c = { INT64_C(1) << 40, 64, 7 };
    int64_t sum = 0;
    for (int r = 0; r < 7; r++) sum += cyclic_count(&c, r);
    assert_true(sum == c.n);
    for (int64_t i = c.n - 1; i > 0; i /= 3)
        assert_true(cyclic_global(&c, cyclic_local(&c, i), cyclic_owner(&c, i)) == i);
}

static void grids(void **state)
{
    (void)state;
    static const int want[][3] = { { 1, 1, 1 }, { 2, 1, 2 }, { 3, 1, 3 }, { 4, 2, 2 }, { 5, 2, 2 },
                                   { 6, 2, 3 }, { 7, 2, 3 }, { 8, 2, 4 }, { 9, 3, 3 },
                                   { 16, 4, 4 }, { 17, 4, 4 } };
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        int r, c;
        cyclic_grid(&r, &c, want[k][0]);
        assert_true(r == want[k][1] && c == want[k][2]);
    }
    for (int n = 1; n <= 1000; n++) {
        int r, c;
        cyclic_grid(&r, &c, n);
        assert_true(r <= c && r * c <= n && 4 * r * c >= 3 * n);
    }
    assert_int_equal(cyclic_block(4096, 4), 64);
    assert_int_equal(cyclic_block(100, 4), 25);
    assert_int_equal(cyclic_block(2, 4), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_dealing_out),
        cmocka_unit_test(large),
        cmocka_unit_test(grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
