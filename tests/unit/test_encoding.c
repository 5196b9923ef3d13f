/* SPDX-License-Identifier: Apache-2.0 */
/* Text that is not UTF-8 gets its name; text that is keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text_file.h"
#include "src/base/utf8.h"

#include <cmocka.h>

#include "tests/unit/said.h"  /* after cmocka */

static const char *const texts[] = {
    "hello", "hi\n", "In the beginning God created the heaven and the earth.\n",
    "Im Anfang schuf Gott Himmel und Erde. \xc3\x84\xc3\xb6\xc3\xbc\xc3\x9f\n",
    ("\xe8\xb5\xb7\xe5\x88\x9d\xe3\x80\x81\xe7\xa5\x9e\xe3\x81\xaf\xe5\xa4\xa9\xe5\x9c\xb0\xe3\x82\x92\n"
     "\xe5\x9c\xb0\xe3\x81\xaf\xe5\xbd\xa2\xe3\x81\xaa\xe3\x81\x8f\xe3\x80\x82\n"),
    "\xd0\x92 \xd0\xbd\xd0\xb0\xd1\x87\xd0\xb0\xd0\xbb\xd0\xb5 \xd1\x81\xd0\xbe\xd1\x82\xd0\xb2\xd0\xbe\xd1\x80\xd0\xb8\xd0\xbb\n",
    "\xf0\x9f\x98\x80 faces \xf0\x9f\x98\x81\n", "{\"text\": \"a line of JSON\"}\n",
};

/* UTF-8 in another form: width 2 or 4 bytes; returns their number. */
static int64_t write_as(char *out, const char *text, int width, int big, int mark)
{
    char *begin = out;

    for (int first = mark; first || *text; first = 0) {
        int length = 0;
        const uint32_t c = first ? 0xfeff : utf8_char(text, &length);
        uint32_t units[2] = { c, 0 };
        int n = 1;
        if (width == 2 && c > 0xffff) {
            units[0] = 0xd800 + ((c - 0x10000) >> 10);
            units[1] = 0xdc00 + ((c - 0x10000) & 0x3ff);
            n = 2;
        }
        for (int u = 0; u < n; u++)
            for (int b = 0; b < width; b++)
                *out++ = (char)(units[u] >> 8 * (big ? width - 1 - b : b));
        text += length;
    }
    return out - begin;
}

static int is(const struct encoding *e, const char *name)
{
    return e && strncmp(e->name, name, strlen(name)) == 0;
}

static void wide_text_is_named(void **state)
{
    static const struct { int width, big; const char *name; } forms[] = {
        { 2, 0, "UTF-16 text (little-endian" }, { 2, 1, "UTF-16 text (big-endian" },
        { 4, 0, "UTF-32 text (little-endian" }, { 4, 1, "UTF-32 text (big-endian" },
    };
    char p[1024];
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
            for (int mark = 0; mark < 2; mark++) {
                const int64_t n = write_as(p, texts[i], forms[f].width, forms[f].big, mark);
                const int64_t bad = utf8_valid(p, n);
                const struct encoding *e = bad < n ? encoding_guess(p, n, bad) : encoding_of(p, n);
                if (!is(e, forms[f].name))
                    fail_msg("%s as %s, mark %d: %s", texts[i], forms[f].name, mark,
                             e ? e->name : "nothing");
                assert_true(!mark || e == encoding_of(p, n));
                assert_non_null(strstr(e->command, f < 2 ? "-f UTF-16" : "-f UTF-32"));
            }
}

static void utf8_is_none_of_them(void **state)
{
    static const struct { const char *text; int64_t n; } good[] = {
        { "", 0 }, { "\0", 1 }, { "a\0", 2 }, { "a\0b", 3 }, { "na\xc3\xafve \0nul\n", 12 },
        { "one\0two\0three\0four\0", 19 }, { "BZh91 is no magic number", 24 }, { "PK", 2 },
        { "\xef\xbb\xbfmarked", 9 }, { "\0\0\0\0", 4 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_null(encoding_of(texts[i], (int64_t)strlen(texts[i])));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_null(encoding_of(good[i].text, good[i].n));
}

static void other_bytes_are_guessed(void **state)
{
    static const struct { const char *text, *name; } rows[] = {
        { "caf\xe9\n", "Latin-1" }, { "\xc4rger \xfc" "ber die Stra\xdf" "e", "Latin-1" },
        { "it\x92s \x93quoted\x94", "Windows-1252" },
        { "\xc6\xf0\xb3\xf5 \xc9\xf1\xb4\xb4\xd4\xec\xcc\xec\xb5\xd8", "text in a national" },  /* GB18030 */
        { "whole \xc3\xa9\xc3\xa8 text \xc3\xbc with \xff one bad byte", NULL },
        { "\x1f\x8b\x08\0\0", "a file compressed with gzip" }, { "\xfd" "7zXZ", NULL },
        { "BZh91AY&SY\xff", "a file compressed with bzip2" },
        { "\x28\xb5\x2f\xfd\x04", "a file compressed with zstd" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int64_t n = (int64_t)strlen(rows[i].text), bad = utf8_valid(rows[i].text, n);
        const struct encoding *e = encoding_guess(rows[i].text, n, bad);
        if (rows[i].name ? !is(e, rows[i].name) : e && !strncmp(e->name, "Latin", 5) && i == 4)
            fail_msg("%s: %s", rows[i].name ? rows[i].name : "none", e ? e->name : "nothing");
    }
    assert_true(is(encoding_guess("\xff\0\x80\0\0\0\1\2", 8, 0), "binary data"));
    assert_true(is(encoding_of("\xfd" "7zXZ\0", 6), "a file compressed with xz"));
    assert_true(is(encoding_of_name("a/b.txt.gz"), "a file compressed with gzip"));
    assert_null(encoding_of_name("gz.txt"));
    assert_null(encoding_of_name(".gz"));

    /* The bad byte is far after the part that is looked at, and so is a good one. */
    const int64_t n = 1 << 20;
    char *big = mem_new(n, 1, "text");
    memset(big, 'x', (size_t)n);
    big[n - 100] = (char)0xe9;
    assert_true(is(encoding_guess(big, n, n - 100), "Latin-1"));
    mem_free(big);
}

static void sentences(void **state)
{
    const struct encoding *e = encoding_of("\xff\xfeh\0", 4);
    char *file = encoding_sentence(e, 0), *pipe = encoding_sentence(e, 1);
    char *guess = encoding_sentence(encoding_guess("\xe9", 1, 0), 0);
    (void)state;

    assert_string_equal(file, "found UTF-16 text (little-endian); convert it with: "
                              "iconv -f UTF-16 -t UTF-8 <OLD >NEW");
    assert_string_equal(pipe, "found UTF-16 text (little-endian); pipe it through a converter: "
                              "iconv -f UTF-16 -t UTF-8 | ttt ...");
    assert_non_null(strstr(guess, "perhaps Latin-1 text (ISO 8859-1)"));
    mem_free(file);
    mem_free(pipe);
    mem_free(guess);
    char *wrong = encoding_complaint("caf\xe9", 4, 3, 10, "line", 0);
    assert_string_equal(wrong, "not UTF-8: byte 0xe9 at byte 13 of the line; perhaps Latin-1 text (ISO "
                               "8859-1) or another encoding of one byte a character; convert it "
                               "with: iconv -f ISO-8859-1 -t UTF-8 <OLD >NEW");
    mem_free(wrong);
}

static void whole_files(void **state)
{
    char path[] = "/tmp/ttt-encoding.XXXXXX", *text;
    size_t n;
    (void)state;

    close(mkstemp(path));
    static const struct { const char *bytes; size_t n; const char *text; } good[] = {
        { "\xef\xbb\xbf{}", 5, "{}" }, { "{}", 2, "{}" }, { "\xef\xbb\xbf", 3, "" }, { "", 0, "" },
        { "\xef\xbb\xbf\xef\xbb\xbfx", 7, "\xef\xbb\xbfx" }, { "x\xef\xbb\xbf", 4, "x\xef\xbb\xbf" },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(file_replace(path, good[i].bytes, good[i].n), OK);
        assert_int_equal(text_file_read(&text, &n, path, 100), OK);
        assert_int_equal(n, strlen(good[i].text));
        assert_string_equal(text, good[i].text);
        mem_free(text);
    }
    assert_int_equal(file_replace(path, "\xfe\xff\0{\0}", 6), OK);
    hear(1);
    const int rc = text_file_read(&text, &n, path, 100);
    hear(0);
    assert_int_equal(rc, ERR_DATA);
    assert_null(text);
    assert_non_null(strstr(said, ": expected UTF-8, found UTF-16 text (big-endian); convert it with"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_text_is_named), cmocka_unit_test(utf8_is_none_of_them),
        cmocka_unit_test(other_bytes_are_guessed), cmocka_unit_test(sentences),
        cmocka_unit_test(whole_files),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed || mem_live_blocks() != 0;
}
