/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of a grid, and its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/part.h"
#include "src/base/rng.h"
#include "src/plan/share.h"

enum { MAX_L = 12, MAX_U = 12, MAX_Q = 12 };

static int draw(uint64_t key, int i, int k, int n)
{
    return 1 + (int)(rng_u64(key, (uint64_t)(16 * i + k)) % (uint64_t)n);
}

/* Every sequence, layer and unit belongs to exactly one rank; shares are balanced. */
static void shares_cover_everything_once(void **state)
{
    (void)state;
    const uint64_t key = rng_key(9, "shares");
    for (int i = 0; i < 500; i++) {
        const struct step_shape w = { .L = draw(key, i, 0, MAX_L), .U = draw(key, i, 1, MAX_U),
                                      .sequences = draw(key, i, 2, MAX_Q),
                                      .micro_batch = draw(key, i, 3, 4) };
        const struct grid_shape g = { .D = draw(key, i, 4, 4), .P = draw(key, i, 5, w.L),
                                      .S = draw(key, i, 6, w.U) };
        int seen[MAX_Q][MAX_L][MAX_U] = { { { 0 } } };
        assert_int_equal(share_check(&g, &w), 0);
        for (int r = 0; r < grid_ranks(&g); r++) {
            struct share a;
            share_of(&a, &g, &w, r);
            assert_int_equal(grid_rank(&g, a.d, a.p, a.s), r);
            for (int q = a.q0; q < a.q1; q++)
                for (int l = a.l0; l < a.l1; l++)
                    for (int u = a.u0; u < a.u1; u++) seen[q][l][u]++;
            assert_true(a.l1 - a.l0 <= w.L / g.P + 1 && a.u1 - a.u0 <= w.U / g.S + 1);
        }
        for (int q = 0; q < w.sequences; q++)
            for (int l = 0; l < w.L; l++)
                for (int u = 0; u < w.U; u++) assert_int_equal(seen[q][l][u], 1);
    }
}

/* The least that the stage that costs most can cost, by trying every cut of layers [l, L) in P. */
static int64_t least(const int64_t *cost, int L, int P)
{
    int64_t best = INT64_MAX, sum = 0;

    if (P == 1) {
        for (int l = 0; l < L; l++) sum += cost[l];
        return sum;
    }
    for (int l = 0; l + P <= L; l++) {
        sum += cost[l];
        const int64_t rest = least(cost + l + 1, L - l - 1, P - 1), most = sum > rest ? sum : rest;
        if (most < best) best = most;
    }
    return best;
}

/* Layers that cost differently: the stage that costs most costs as little as it can.  Layers that
 * cost the same are shared out as if they had no costs. */
static void stages_are_balanced_by_cost(void **state)
{
    (void)state;
    const uint64_t key = rng_key(10, "shares");
    for (int i = 0; i < 1000; i++) {
        int64_t cost[MAX_L], most = 0;
        const int equal = i % 4 == 0;
        struct step_shape w = { .L = draw(key, i, 0, MAX_L), .cost = cost };
        const int P = draw(key, i, 1, w.L < 5 ? w.L : 5);
        for (int l = 0; l < w.L; l++)
            cost[l] = equal ? 1000003 : draw(key, i, 2 + l, i % 4 == 1 ? 3 : 1000);
        for (int p = 0; p < P; p++) {
            int64_t sum = 0;
            const int begin = share_layer(&w, P, p), end = share_layer(&w, P, p + 1);
            assert_true(begin < end);
            for (int l = begin; l < end; l++) sum += cost[l];
            if (sum > most) most = sum;
        }
        assert_int_equal(share_layer(&w, P, 0), 0);
        assert_int_equal(share_layer(&w, P, P), w.L);
        assert_int_equal(most, least(cost, w.L, P));
        for (int p = 0; equal && p < P; p++)
            assert_int_equal(share_layer(&w, P, p), part_begin(w.L, P, p));
    }
}

static void impossible_grids_are_refused(void **state)
{
    (void)state;
    const struct step_shape w = { .L = 4, .U = 2, .sequences = 3, .micro_batch = 1 };
    const struct grid_shape bad_grids[] = { { 1, 5, 1 }, { 1, 1, 3 }, { 0, 1, 1 }, { 1, -1, 1 } };
    for (size_t i = 0; i < sizeof bad_grids / sizeof *bad_grids; i++)
        assert_int_equal(share_check(&bad_grids[i], &w), -78);
}

static void grids_have_a_text(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "2", "2x3", "2x3x", "2x3x4x", "2x3x4x5", "0x3x4", "-1x1x1", "+1x1x1", " 1x1x1", "1x1x1 ",
        "1 x1x1", "01x1x1", "1X1X1", "1x1x0", "axbxc", "1,1,1", "99999999999999999999x1x1",
        "1024x1024x2", "1048577x1x1", "65536x65536x65536",
    };
    struct grid_shape g;
    assert_int_equal(grid_parse(&g, "2x3x40"), 0);
    assert_true(g.D == 2 && g.P == 3 && g.S == 40);
    assert_int_equal(grid_parse(&g, "1024x1024x1"), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(grid_parse(&g, wrong[i]), -78);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_cover_everything_once),
        cmocka_unit_test(stages_are_balanced_by_cost),
        cmocka_unit_test(impossible_grids_are_refused),
        cmocka_unit_test(grids_have_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
