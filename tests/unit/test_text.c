/* SPDX-License-Identifier: Apache-2.0 */
/* Strict numbers, shortest decimal text, nearest word. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/text.h"
#include "src/base/utf8.h"

#include <cmocka.h>

static void whole_numbers(void **state)
{
    static const char *bad[] = { "", " 1", "1 ", "+", "-", "1.0", "1e3", "0x1", "010", "1_000",
                                 "--1", "9223372036854775808", "-9223372036854775809", "one" };
    int64_t x = 7;
    (void)state;

    assert_true(text_int(&x, "9223372036854775807") && x == INT64_MAX);
    assert_true(text_int(&x, "-9223372036854775808") && x == INT64_MIN);
    assert_true(text_int(&x, "+5") && x == 5);
    assert_true(text_int(&x, "0") && x == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(text_int(&x, bad[i]));
    assert_int_equal(x, 0);
}

static void decimal_numbers(void **state)
{
    static const char *bad[] = { "", ".", "e5", "1e", "1e+", "010", "00", "-01", "01.5", "00e1", "nan", "NaN", ".nan", "inf", ".inf",
                                 "-inf", "0x1p3", "1_0", "1,5", " 1", "1 ", "1e309", "-1e309",
                                 "1e-400", "1f", "1.2.3" };
    double x = 0;
    (void)state;

    assert_true(text_double(&x, "1e-3") && x == 0.001);
    assert_true(text_double(&x, ".5") && x == 0.5);
    assert_true(text_double(&x, "5.") && x == 5);
    assert_true(text_double(&x, "0.5") && x == 0.5);
    assert_true(text_double(&x, "-0") && x == 0);
    assert_true(text_double(&x, "1e-05") && x == 1e-5);  /* as printf writes it */
    assert_true(text_double(&x, "-2.5E+1") && x == -25);
    assert_true(text_double(&x, "5e-324") && x > 0);  /* the smallest there is */
    assert_true(text_double(&x, "0e-400") && x == 0);
    x = 3;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(text_double(&x, bad[i]));
    assert_true(x == 3);
}

/* What is a whole number is one to both readers, and what is none is none to either, so that no key
 * and no option takes a text that another one reads as something else. */
static void one_rule(void **state)
{
    static const char marks[] = "0179+-_x. ";
    char text[5] = "";
    (void)state;

    for (int code = 0; code < 10000; code++) {
        const int digit[] = { code / 1000, code / 100 % 10, code / 10 % 10, code % 10 };
        int n = 0, point = 0;
        for (int i = 0; i < 4; i++) {
            text[n++] = marks[digit[i]];
            point |= marks[digit[i]] == '.';
        }
        int64_t whole = 0;
        double x = 0;
        const int is_whole = text_int(&whole, text), is_number = text_double(&x, text);
        if (!point) assert_int_equal(is_whole, is_number);
        if (is_whole) assert_true(x == (double)whole);
    }
    assert_string_equal(text_whole(&(int64_t){ 0 }, "17,4"), ",4");
    assert_null(text_whole(&(int64_t){ 0 }, "017"));
}

static void shortest_text_reads_back(void **state)
{
    char text[TEXT_DOUBLE];
    (void)state;

    text_of_double(text, 0.1);
    assert_string_equal(text, "0.1");
    text_of_double(text, 0.003);
    assert_string_equal(text, "0.003");
    text_of_double(text, 0.1 + 0.2);
    assert_string_equal(text, "0.30000000000000004");
    text_of_double(text, 1e4);
    assert_string_equal(text, "10000");
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t bits = rng_u64(42, i);
        double x, y;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x)) continue;
        text_of_double(text, x);
        assert_true(text_double(&y, text));
        assert_memory_equal(&x, &y, sizeof x);
    }
}

/* The valid prefix of each text, in bytes; examples of Unicode table 3-7. */
static void utf8(void **state)
{
    static const struct { const char *text; size_t n, good; } rows[] = {
        { "", 0, 0 }, { "abc", 3, 3 }, { "a\0b", 3, 3 }, { "\x7f", 1, 1 }, { "\x80", 1, 0 },
        { "\xc3\xa4", 2, 2 }, { "\xc3", 1, 0 }, { "a\xc3(", 3, 1 }, { "\xc1\xbf", 2, 0 },
        { "\xe0\xa0\x80", 3, 3 }, { "\xe0\x9f\xbf", 3, 0 }, { "\xe2\x82", 2, 0 },
        { "\xed\x9f\xbf", 3, 3 }, { "\xed\xa0\x80", 3, 0 }, { "\xef\xbf\xbf", 3, 3 },
        { "\xf0\x90\x80\x80", 4, 4 }, { "\xf0\x8f\xbf\xbf", 4, 0 },
        { "\xf4\x8f\xbf\xbf", 4, 4 }, { "\xf4\x90\x80\x80", 4, 0 }, { "\xf5\x80\x80\x80", 4, 0 },
        { "ok \xf0\x9f\x99\x82 \xff", 9, 8 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(utf8_valid(rows[i].text, (int64_t)rows[i].n), rows[i].good);
}

static void distances(void **state)
{
    static char longer[200];
    (void)state;

    assert_int_equal(text_distance("width", "width"), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("ab", "ba"), 1);       /* neighbours swapped */
    assert_int_equal(text_distance("widht", "width"), 1);
    memset(longer, 'a', sizeof longer - 1);
    assert_int_equal(text_distance(longer, "a"), INT_MAX);
}

static void nearest_word(void **state)
{
    struct nearest n = { .to = "optim.wram" };
    (void)state;

    nearest_try(&n, "optim.lr");
    nearest_try(&n, "optim.warm");
    nearest_try(&n, "optim.beta1");
    assert_string_equal(n.best, "optim.warm");
    n = (struct nearest){ .to = "xyz" };
    nearest_try(&n, "model.width");
    assert_null(n.best);
}

static void visible(void **state)
{
    (void)state;
    static const struct { const char *text, *shown; } rows[] = {
        { "", "" }, { "plain text, \"quotes\" and \\", "plain text, \"quotes\" and \\" },
        { "h\xc3\xa4\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80",
          "h\xc3\xa4\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80" },
        { "a\nb\rc\td", "a\\nb\\rc\\td" }, { "\033[31mred\a\b\x7f", "\\x1b[31mred\\x07\\x08\\x7f" },
        { "\xc2\x9b" "2J\xc2\x85\xc2\xa0", "\\u009b2J\\u0085\xc2\xa0" },   /* C1, and a blank */
        { "\xe2\x80\xae" "lmay.x \xe2\x81\xa9 \xe2\x80\xa8 \xef\xbb\xbf",
          "\\u202elmay.x \\u2069 \\u2028 \\ufeff" },
        { "\xe2\x80\x90", "\xe2\x80\x90" },
        /* not UTF-8: a C1 byte alone, overlong, surrogate, cut in the middle and at the end */
        { "\x9b" "2J", "\\x9b2J" }, { "\xc0\x9b", "\\xc0\\x9b" },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" }, { "\xe6\x97!", "\\xe6\\x97!" },
        { "x\xf0\x9f\x98", "x\\xf0\\x9f\\x98" },
    };
    char out[128];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(utf8_visible(out, sizeof out, rows[i].text), strlen(rows[i].shown));
        assert_string_equal(out, rows[i].shown);
        assert_string_equal(text_visible(rows[i].text), rows[i].shown);
    }
    assert_ptr_equal(text_visible(rows[2].text), rows[2].text);
    static char escapes[5000];
    memset(escapes, '\033', sizeof escapes - 1);
    char *copy = text_visible_copy(escapes);
    assert_int_equal(strlen(copy), 4 * (sizeof escapes - 1));
    assert_string_equal(copy + 4 * (sizeof escapes - 3), "\\x1b\\x1b");
    mem_free(copy);
    copy = text_visible_copy(rows[2].text);
    assert_string_equal(copy, rows[2].text);
    mem_free(copy);

    /* Eight at once, as the words of one line. */
    const char *eight[8];
    for (int i = 0; i < 8; i++) {
        const char text[] = { '\033', (char)('a' + i), '\0' };
        eight[i] = text_visible(text);
    }
    for (int i = 0; i < 8; i++) assert_true(eight[i][4] == 'a' + i && !eight[i][5]);

    /* Whatever it is, and however little room: no control byte, UTF-8, a string that fits. */
    uint32_t x = 1;
    for (int trial = 0; trial < 20000; trial++) {
        char text[24];
        for (size_t i = 0; i < sizeof text; i++) {
            x = x * 1664525 + 1013904223;
            text[i] = (char)(x >> 24);
        }
        text[sizeof text - 1] = '\0';
        const size_t room = 4 + (size_t)trial % 100, whole = utf8_visible(out, room, text);
        const size_t n = strlen(out);
        assert_true(whole < room ? n == whole : n < room && !strcmp(out + n - 3, "..."));
        assert_int_equal(utf8_valid(out, (int64_t)n), n);
        for (size_t i = 0; i < n; i++) assert_true((unsigned char)out[i] >= ' ' && out[i] != 0x7f);
    }
    assert_int_equal(utf8_visible(out, 8, "1234567"), 7);
    assert_string_equal(out, "1234567");
    assert_int_equal(utf8_visible(out, 8, "12345678"), 8);
    assert_string_equal(out, "1234...");
    assert_int_equal(utf8_visible(out, 8, "123\n\n"), 7);
    assert_string_equal(out, "123\\n\\n");
    assert_int_equal(utf8_visible(out, 8, "123\n\n\n"), 9);
    assert_string_equal(out, "123...");
}

/* What is valid stays, and every byte that is not becomes one character. */
static void repaired(void **state)
{
    (void)state;
    static const struct { const char *text, *is; } all[] = {
        { "", "" }, { "plain", "plain" }, { "\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac" },
        { "a\xff" "b", "a\xef\xbf\xbd" "b" }, { "cut\xc3", "cut\xef\xbf\xbd" },
        { "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *text = text_repair(all[i].text);
        assert_string_equal(text, all[i].is);
        mem_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(decimal_numbers),
        cmocka_unit_test(one_rule),
        cmocka_unit_test(shortest_text_reads_back),
        cmocka_unit_test(utf8),
        cmocka_unit_test(repaired),
        cmocka_unit_test(visible),
        cmocka_unit_test(distances),
        cmocka_unit_test(nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
