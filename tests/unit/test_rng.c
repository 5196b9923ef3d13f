/* SPDX-License-Identifier: Apache-2.0 */
/* test_rng.c -- Philox4x32-10 against the published vectors, and its draws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "src/base/rng.h"

/* Random123, tests/kat_vectors, "philox4x32 10", first row.  The others fill counter
 * words 2 and 3, which are 0 here: they check the plain version below. */
static void published_vector(void **state)
{
    (void)state;
    static const uint32_t want[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    uint32_t got[4];
    rng_bits(got, 0, 0);
    assert_memory_equal(got, want, sizeof want);
    assert_true(rng_u64(0, 0) == UINT64_C(0xe169c58d6627e8d5));
}

/* Ten rounds as the paper writes them, for keys and counters of 64 bits. */
static void plain_philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        const uint64_t left = UINT64_C(0xD2511F53) * c[0], right = UINT64_C(0xCD9E8D57) * c[2];
        const uint32_t next[4] = { (uint32_t)(right >> 32) ^ c[1] ^ k0, (uint32_t)right,
                                   (uint32_t)(left >> 32) ^ c[3] ^ k1, (uint32_t)left };
        memcpy(c, next, sizeof next);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static void all_words_of_key_and_counter_count(void **state)
{
    (void)state;
    /* The reference above is itself right: the vectors of all ones and of pi. */
    uint32_t ones[4] = { ~0u, ~0u, ~0u, ~0u };
    uint32_t pi[4] = { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 };
    static const uint32_t want_ones[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };
    static const uint32_t want_pi[4] = { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 };
    plain_philox(ones, ~0u, ~0u);
    plain_philox(pi, 0xa4093822, 0x299f31d0);
    assert_memory_equal(ones, want_ones, sizeof ones);
    assert_memory_equal(pi, want_pi, sizeof pi);

    static const uint64_t words[] = { 0, 1, 0xffffffff, UINT64_C(1) << 32, UINT64_MAX,
                                      UINT64_C(0x299f31d0a4093822) };
    for (int a = 0; a < 6; a++) {
        for (int b = 0; b < 6; b++) {
            const uint64_t k = words[a], i = words[b];
            uint32_t got[4], want[4] = { (uint32_t)i, (uint32_t)(i >> 32), 0, 0 };
            plain_philox(want, (uint32_t)k, (uint32_t)(k >> 32));
            rng_bits(got, k, i);
            assert_memory_equal(got, want, sizeof want);
        }
    }
}

/* Mean, variance and fourth moment within five standard errors. */
static void moments_of_draws(void **state)
{
    (void)state;
    enum { n = 1000000 };
    const uint64_t key = rng_key(1, "moments");
    double u1 = 0, u2 = 0, z1 = 0, z2 = 0, z4 = 0;
    for (uint64_t i = 0; i < n; i++) {
        const double u = rng_uniform(key, i), z = rng_normal(key, i);
        assert_true(u > 0 && u < 1 && fabs(z) < 8.6);
        u1 += u / n;
        u2 += u * u / n;
        z1 += z / n;
        z2 += z * z / n;
        z4 += z * z * z * z / n;
    }
    const double error = 5 / sqrt(n);
    assert_true(fabs(u1 - 0.5) < error * sqrt(1 / 12.0));
    assert_true(fabs(u2 - 1 / 3.0) < error * sqrt(4 / 45.0));
    assert_true(fabs(z1) < error);
    assert_true(fabs(z2 - 1) < error * sqrt(2));
    assert_true(fabs(z4 - 3) < error * sqrt(96));
}

/* Wherever an array of them begins and ends, and beyond 32 bits of counter; enough of them for
 * some to lie between two numbers that they could be rounded to. */
static void many_normals_are_each_normal(void **state)
{
    (void)state;
    enum { n = 1 << 21 };
    static const struct { int n; double scale; uint64_t first; } cases[] = {
        { n, 0.02, 0 }, { n, 1, UINT64_C(0xffffffff) - n / 2 }, { 1, 3, 5 }, { 63, 3, 6 },
        { 64, 3, 7 }, { 65, 3, 8 }, { 1000, 0, 9 }, { 1000, 1e-30, 10 }, { 0, 1, 0 },
    };
    static real x[n + 1];

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const uint64_t key = rng_key(c, "normals");
        x[cases[c].n] = 77;
        rng_normals(x, cases[c].n, key, cases[c].first, cases[c].scale);
        for (int i = 0; i < cases[c].n; i++) {
            const real one = (real)(cases[c].scale * rng_normal(key, cases[c].first + (uint64_t)i));
            assert_memory_equal(&x[i], &one, sizeof one);
        }
        assert_true(x[cases[c].n] == 77);
    }
}

static void keys_differ_by_seed_and_name(void **state)
{
    (void)state;
    assert_true(rng_key(1, "a") == rng_key(1, "a"));
    assert_true(rng_key(1, "a") != rng_key(2, "a"));
    assert_true(rng_key(1, "a") != rng_key(1, "b"));
    assert_true(rng_key(0, "") != rng_key(1, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vector),
        cmocka_unit_test(all_words_of_key_and_counter_count),
        cmocka_unit_test(moments_of_draws),
        cmocka_unit_test(many_normals_are_each_normal),
        cmocka_unit_test(keys_differ_by_seed_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
