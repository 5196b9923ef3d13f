/* SPDX-License-Identifier: Apache-2.0 */
/* test_base.c -- order-free sums, checksums, counted memory, the arena. */
#include "tests/unit/numeric.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/arena.h"
#include "src/base/fixed.h"
#include "src/base/hash.h"
#include "src/base/status.h"

/* Numbers of both signs between 2^-60 and 2^40. */
static double wide(int i)
{
    return rng_normal(5, (uint64_t)i) * ldexp(1, (int)(rng_u64(6, (uint64_t)i) % 100) - 60);
}

static void fixed_sums_have_no_order(void **state)
{
    (void)state;
    enum { n = 10007 };
    struct fixed forth = { 0, 0 }, back = { 0, 0 }, odd = { 0, 0 }, even = { 0, 0 };
    double naive_forth = 0, naive_back = 0;
    long double want = 0;
    for (int i = 0; i < n; i++) {
        fixed_add(&forth, wide(i));
        fixed_add(&back, wide(n - 1 - i));
        fixed_add(i % 2 ? &odd : &even, wide(i));
        naive_forth += wide(i);
        naive_back += wide(n - 1 - i);
        want += wide(i);
    }
    fixed_join(&odd, even);
    assert_same(&forth, &back, 1);
    assert_same(&forth, &odd, 1);
    assert_true(naive_forth != naive_back);                /* or the test tests nothing */
    assert_true(fabs(fixed_value(forth) - (double)want) <= 1e-15 * fabs((double)want) + 1e-15);
}

/* More terms than any carry-less pair of 64-bit integers holds: 2^21 of almost 2^-20. */
static void fixed_sums_of_many_terms(void **state)
{
    const double x = 0x1p-20 - 0x1p-60;
    struct fixed s = { 0, 0 }, all = { 0, 0 };
    (void)state;

    for (int i = 0; i < 1 << 21; i++) {
        fixed_add(&s, x);
        assert_true(s.lo >= 0 && s.lo < (int64_t)1 << 44);
    }
    assert_true(fixed_value(s) == 0x1p21 * x);
    for (int rank = 0; rank < 5; rank++) {  /* as a reduction adds them */
        all.hi += s.hi;
        all.lo += s.lo;
    }
    assert_true(fixed_value(all) == 5 * 0x1p21 * x);
}

static void fixed_sums_are_exact(void **state)
{
    (void)state;
    static const double terms[] = { 0x1.8p41, 0x1p-60, -0x1.8p41, 0x1p-64, -1.5, 1.5, 0x1p-66 };
    struct fixed s = { 0, 0 };
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) fixed_add(&s, terms[i]);
    assert_true(fixed_value(s) == 0x1p-60 + 0x1p-64);      /* below 2^-65: rounded away */
    s = (struct fixed){ 0, 0 };
    for (int i = 0; i < 1 << 19; i++) fixed_add(&s, -0x1.fffffffffffffp21);
    assert_true(fabs(fixed_value(s) / (-0x1.fffffffffffffp40) - 1) < 1e-15);
}

static void hash_of_parts_is_hash_of_whole(void **state)
{
    (void)state;
    unsigned char data[3000];
    char text[HASH_HEX];
    struct hash parsed, whole;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)rng_u64(1, i);
    whole = hash_bytes(data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut += 97) {
        struct hasher *h = hasher_new();
        hasher_add(h, data, cut);
        hasher_add(h, data + cut, sizeof data - cut);
        assert_true(hash_equal(hasher_get(h), whole));
        hasher_free(h);
    }
    data[2999] ^= 1;
    assert_false(hash_equal(hash_bytes(data, sizeof data), whole));

    hash_hex(text, whole);
    assert_int_equal(hash_parse(&parsed, text), OK);
    assert_true(hash_equal(parsed, whole));
    hash_store(data, whole);
    assert_true(hash_equal(hash_load(data), whole));
    assert_int_equal(hash_parse(&parsed, "0123"), ERR_DATA);
    text[7] = 'g';
    assert_int_equal(hash_parse(&parsed, text), ERR_DATA);
    text[7] = 'A';                                         /* one spelling only */
    assert_int_equal(hash_parse(&parsed, text), ERR_DATA);

    /* XXH3-128 of nothing, as the library's specification prints it. */
    hash_hex(text, hash_bytes("", 0));
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f");
}

static void memory_is_counted(void **state)
{
    (void)state;
    const int64_t blocks = mem_live_blocks(), bytes = mem_live_bytes();
    char *a = mem_new(1000, 1, "a"), *b = mem_string("text"), *c = mem_format("%d-%s", 7, "x");
    assert_int_equal(mem_live_blocks(), blocks + 3);
    assert_int_equal(mem_live_bytes(), bytes + 1000 + 5 + 4);
    assert_true(mem_peak_bytes() >= bytes + 1009);
    assert_int_equal((uintptr_t)a % ALIGN_BYTES, 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(a[i], 0);
    assert_string_equal(b, "text");
    assert_string_equal(c, "7-x");

    memset(a, 1, 1000);
    a = mem_resize(a, 3000, 1, "a");
    assert_int_equal(a[999], 1);
    a = mem_resize(a, 10, 1, "a");
    assert_int_equal(a[9], 1);
    assert_int_equal((uintptr_t)a % ALIGN_BYTES, 0);
    mem_free(mem_resize(NULL, 5, 1, "from nothing"));
    mem_free(mem_new(0, 8, "nothing"));
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
    assert_int_equal(mem_live_blocks(), blocks);
    assert_int_equal(mem_live_bytes(), bytes);
}

/* Exit code of a child that asks for what it can't have. */
static int code_of(void (*ask)(void))
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fclose(stderr);
        ask();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void ask_overflow(void) { mem_new(INT64_MAX / 4, 8, "too much"); }
static void ask_negative(void) { mem_new(-1, 8, "less than nothing"); }
static void ask_second(void)
{
    mem_fail_at(2);
    mem_free(mem_new(1, 1, "first"));
    mem_new(1, 1, "second");
}
static void ask_first(void)
{
    mem_fail_at(2);
    mem_free(mem_new(1, 1, "first"));
}
static void fill_arena(void)
{
    struct arena a;
    arena_init(&a, 128, "test");
    arena_bytes(&a, 64);
    arena_bytes(&a, 65);
}

static void out_of_memory_is_exit_71(void **state)
{
    (void)state;
    assert_int_equal(code_of(ask_overflow), 71);
    assert_int_equal(code_of(ask_negative), 71);
    assert_int_equal(code_of(ask_second), 71);
    assert_int_equal(code_of(ask_first), 0);
    assert_int_equal(code_of(fill_arena), 128 + SIGABRT);
}

/* What a step does with its scratch memory. */
static void use(struct arena *a, real *first[2])
{
    const int64_t start = arena_mark(a);
    first[0] = arena_reals(a, 7);
    for (int i = 0; i < 3; i++) {
        const int64_t mark = arena_mark(a);
        arena_bytes(a, 1000 + i);
        arena_reset(a, mark);
    }
    first[1] = arena_reals(a, 1);
    arena_reset(a, start);
}

static void a_plan_is_what_is_used(void **state)
{
    (void)state;
    struct arena plan, a;
    real *p[2];
    arena_plan(&plan);
    use(&plan, p);
    assert_null(p[0]);
    assert_int_equal(plan.peak, 64 + 1024);
    arena_init(&a, plan.peak, "test");
    use(&a, p);
    assert_int_equal(a.peak, plan.peak);
    assert_int_equal(a.used, 0);
    assert_int_equal((uintptr_t)p[0] % ALIGN_BYTES, 0);
    assert_int_equal((char *)p[1] - (char *)p[0], 64);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_sums_have_no_order),
        cmocka_unit_test(fixed_sums_are_exact),
        cmocka_unit_test(fixed_sums_of_many_terms),
        cmocka_unit_test(hash_of_parts_is_hash_of_whole),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(out_of_memory_is_exit_71),
        cmocka_unit_test(a_plan_is_what_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
