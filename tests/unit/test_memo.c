/* SPDX-License-Identifier: Apache-2.0 */
/* A memo gives back what was put under the same text, and nothing else. */
#include "tests/unit/store_test.h"

#include "src/data/memo.h"

static const int32_t ids[] = { 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void put(struct memo *m, const char *text, int64_t count)
{
    int known;
    struct memo_entry *e = memo_find(m, text, (int64_t)strlen(text), &known);
    memo_put(e, text, (int64_t)strlen(text), ids, count);
}

static int knows(struct memo *m, const char *text, int64_t n)
{
    int known;
    (void)memo_find(m, text, n, &known);
    return known;
}

static void the_same_text_and_no_other(void **state)
{
    (void)state;
    struct memos *all = memos_new();
    struct memo *m = memos_take(all);
    int known;

    assert_false(knows(m, " the", 4));
    put(m, " the", 3);
    const struct memo_entry *e = memo_find(m, " the", 4, &known);
    assert_true(known);
    assert_int_equal(e->count, 3);
    assert_memory_equal(e->ids, ids, 3 * sizeof *ids);
    assert_false(knows(m, " the", 3));
    assert_false(knows(m, " then", 5));
    put(m, "none", 0);
    assert_true(knows(m, "none", 4));
    memos_give(all, m);
    memos_free(all);
}

static void what_has_no_room_is_not_kept(void **state)
{
    (void)state;
    struct memos *all = memos_new();
    struct memo *m = memos_take(all);

    put(m, "exactly so many ids", MEMO_IDS);
    assert_true(knows(m, "exactly so many ids", 19));
    put(m, "one more", MEMO_IDS + 1);
    assert_false(knows(m, "one more", 8));
    put(m, "twenty-two bytes of it", 1);
    assert_true(knows(m, "twenty-two bytes of it", MEMO_TEXT));
    memos_give(all, m);
    memos_free(all);
}

/* So many texts in a table of thousands: whatever is still there is right. */
static void others_take_the_place(void **state)
{
    (void)state;
    struct memos *all = memos_new();
    struct memo *m = memos_take(all);
    int there = 0;

    for (int32_t pass = 0; pass < 2; pass++)
        for (int32_t i = 0; i < 20000; i++) {
            char text[16];
            int known;
            const int n = sprintf(text, "%d", i);
            struct memo_entry *e = memo_find(m, text, n, &known);
            if (known) {
                assert_true(e->count == 1 && e->ids[0] == i);
                there++;
            }
            memo_put(e, text, n, &i, 1);
        }
    assert_in_range(there, 1000, 19000);
    memos_give(all, m);
    memos_free(all);
}

/* Two at once are two; one that was given back comes again, with what it knows. */
static void a_thread_has_its_own(void **state)
{
    (void)state;
    struct memos *all = memos_new();
    struct memo *a = memos_take(all), *b = memos_take(all);

    assert_ptr_not_equal(a, b);
    put(a, "word", 2);
    assert_false(knows(b, "word", 4));
    memos_give(all, a);
    assert_ptr_equal(memos_take(all), a);
    assert_true(knows(a, "word", 4));
    memos_give(all, a);
    memos_give(all, b);
    memos_free(all);
    assert_int_equal(mem_live_blocks(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_text_and_no_other),
        cmocka_unit_test(what_has_no_room_is_not_kept),
        cmocka_unit_test(others_take_the_place),
        cmocka_unit_test(a_thread_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
