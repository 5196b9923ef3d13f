/* SPDX-License-Identifier: Apache-2.0 */
/* One string out of a line of JSON: what is read, what is skipped, and where both end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data_prep/json_field.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/base/utf8.h"

#include <cmocka.h>

/* The text of a line, or "E" and what is wrong: a counted string. */
static char *read_line(const char *field, const char *line, int64_t n, int64_t *text_n)
{
    struct json_path path;
    char *text = NULL, *copy = malloc(n ? (size_t)n : 1);  /* of this size: ASan sees byte n */
    int repeats;

    assert_int_equal(json_path_init(&path, field), OK);
    memcpy(copy, line, (size_t)n);
    char *why = json_field(&path, copy, n, 0, &text, text_n, &repeats);
    json_path_done(&path);
    free(copy);
    if (!why) return text;
    assert_null(text);
    text = mem_format("E%s", why);
    mem_free(why);
    return text;
}

static void expect(const char *field, const char *line, const char *want)
{
    int64_t n = 0;
    char *got = read_line(field, line, (int64_t)strlen(line), &n);
    const int same = *want == 'E' ? *got == 'E' && strstr(got, want + 1) != NULL
                                  : !strcmp(got, want) && n == (int64_t)strlen(want);
    if (!same) fail_msg("%s\n  field %s: %s\n  not %s", line, field, got, want);
    mem_free(got);
}

/* Only the field's own value is looked at. */
static void other_fields_are_skipped(void **state)
{
    static const char *const others[] = {
        "18446744073709551615", "1e999", "-1e-999", "NaN", "-Infinity", "Infinity", "nan", "0x1p3",
        "null", "true", "\"\"", "\"\\ud800\"", "\"\\u12\"", "\"\\q\"", "\"tab\there\"", "\"\xff\xfe\"",
        "\"\\\\\"", "\"\\\"\"", "\"{\\\"text\\\": \\\"no\\\"}\"", "\"\\\\\\\"text\\\\\\\":[\"", "{}", "[]",
        "[[],{}]", "{\"text\":\"no\"}", "{\"text\":{\"text\":\"no\"},\"text\":\"no\"}",
        "[{\"text\":\"no\"}]", "[\"text\",\"no\"]", "{\"a\":1,\"a\":2}", "{\"a\" : [ 1 , \"]}\" ] }",
    };
    (void)state;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        static const char *const lines[] = {
            "{\"x\":%s,\"text\":\"yes\"}", "{\"text\":\"yes\",\"x\":%s}",
            " { \"x\" : %s , \"y\":[%s],\"text\" : \"yes\" }\r", "{\"x\":{\"y\":%s},\"text\":\"yes\",\"z\":%s}",
        };
        for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
            char line[1024], *out = line;
            for (const char *p = lines[k]; *p; p++)
                if (*p == '%') out = stpcpy(out, others[i]), p++;
                else *out++ = *p;
            *out = '\0';
            expect("text", line, "yes");
        }
    }
}

static void the_field_is_read_strictly(void **state)
{
    (void)state;
    expect("text", "{\"text\":\"\"}", "");
    expect("text", "{\"text\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t");
    expect("text", "{\"te\\u0078t\":\"\\u00e9\\u20AC\\ud83d\\ude00\xc3\xa9\"}",
           "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9");
    expect("\xc3\xa9\"", "{\"\\u00e9\\\"\":\"x\"}", "x");
    expect("text", "{\"text\":\"a\\ud800b\"}", "Efield 'text' is not a JSON string: half a surrogate pair (column 11)");
    expect("text", "{\"text\":\"\\udc00\"}", "Ehalf a surrogate pair (column 10)");
    expect("text", "{\"text\":\"\\ud800\\u0041\"}", "Ehalf a surrogate pair");
    expect("text", "{\"text\":\"\\ud800\\ud800\"}", "Ehalf a surrogate pair");
    expect("text", "{\"text\":\"\\u12g4\"}", "E\\u without four hexadecimal digits (column 10)");
    expect("text", "{\"text\":\"\\u123\"}", "E\\u without four hexadecimal digits");
    expect("text", "{\"text\":\"\\x\"}", "Ean unknown escape (column 10)");
    expect("text", "{\"\xc3\xa9\":1,\"text\":\"a\tb\"}", "Ea control character, which JSON writes as an escape (column 17)");
    expect("text", "{\"text\":\"eight bytes, \x01 and eight\"}", "Ea control character");
    expect("text", "{\"text\":\"caf\xe9 noir\"}", "Efield 'text' is not UTF-8: byte 0xe9 at byte 12 of the line; perhaps Latin-1");
    expect("text", "{\"text\":\"\xc0\x80\"}", "Enot UTF-8: byte 0xc0");
    expect("text", "{\"text\":\"\xed\xa0\x80\"}", "Enot UTF-8: byte 0xed");
    expect("text", "{\"text\":null}", "Efield 'text' is null, expected a string");
    expect("text", "{\"text\":5}", "Efield 'text' is a number, expected a string");
    expect("text", "{\"text\":NaN}", "Efield 'text' is a number, expected a string");
    expect("text", "{\"text\":true}", "Efield 'text' is true or false, expected a string");
    expect("text", "{\"text\":{\"text\":\"x\"}}", "Efield 'text' is an object, expected a string");
    expect("messages", "{\"messages\":[{\"role\":\"user\"}]}", "Efield 'messages' is a list, expected a string; a conversation must become one text first");
    expect("text", "{\"messages\":[{\"role\":\"user\"}]}", "Eno field 'text'; the line has 'messages' (a list); a conversation must");
    expect("text", "{}", "Eno field 'text'; the line has no field at all");
    expect("text", "{\"Text\":\"x\",\"meta\":{},\"n\":1}", "Eno field 'text'; the line has 'Text', 'meta' (an object), 'n' (a number); a field in an object is --field OBJECT.NAME");
    expect("text", "{\"text\\u0000\":\"x\"}", "Eno field 'text'");
    expect("text", "{\"a\x1b[2J\":\"x\"}", "Ethe line has 'a?[2J'");

    int64_t n;
    char *zero = read_line("text", "{\"text\":\"a\\u0000b\"}", 19, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(zero, "a\0b", 4);
    mem_free(zero);
}

static void a_line_is_one_object(void **state)
{
    static const char *const bad[] = {
        "", " ", "text", "\"text\"", "5", "null", "{", "}", "{\"text\"", "{\"text\":", "{\"text\":\"x", "{\"text\":\"x\"",
        "{\"text\":\"x\",", "{\"text\":\"x\",}", "{,\"text\":\"x\"}", "{\"text\" \"x\"}", "{\"text\":\"x\" \"y\":1}",
        "{\"text\":\"x\"}}", "{\"text\":\"x\"}{\"text\":\"y\"}", "{\"text\":\"x\"},", "{text:\"x\"}", "{'text':'x'}",
        "{\"a\":[1,],\"text\":\"x\"}", "{\"a\":[,1],\"text\":\"x\"}", "{\"a\":[1 2],\"text\":\"x\"}", "{\"a\":[1},\"text\":\"x\"}",
        "{\"a\":{\"b\":1],\"text\":\"x\"}", "{\"a\":{\"b\"},\"text\":\"x\"}", "{\"a\":,\"text\":\"x\"}", "{\"a\":\"\\\",\"text\":\"x}",
        "{\"text\":\"x\\\"}", "{\"text\":\"x\"}\x01", "\xff{\"text\":\"x\"}", "{\"a\":[{\"text\":\"x\"}", "{1:2,\"text\":\"x\"}",
        "{\"a\":*,\"text\":\"x\"}", "{\"a\"::1,\"text\":\"x\"}",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) expect("text", bad[i], "Enot JSON: expected ");
    expect("text", "[{\"text\":\"x\"}]", "Enot a JSON object but a list");
    expect("text", "{\"a\":1 \"text\":\"x\"}", "Eexpected ',' or '}', found '\"' (column 8)");
    expect("text", "{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\",]", "Eexpected a key in quotes, found ']' (column 10)");
    expect("text", "{\"a\":[1", "Eexpected ',' or ']', found the end of the line (column 8); JSON lines hold one whole");
}

/* Names with dots, and keys that are there more than once. */
static void names(void **state)
{
    (void)state;
    expect("meta.text", "{\"text\":\"no\",\"meta\":{\"x\":{\"text\":\"no\"},\"text\":\"yes\"}}", "yes");
    expect("a.b.c", "{\"a\":{\"b\":{\"c\":\"yes\"}},\"b\":{\"c\":\"no\"},\"c\":\"no\"}", "yes");
    expect("a.b", "{\"a\":{\"b\":\"nested\"},\"a.b\":\"exact\"}", "exact");
    expect("a.b", "{\"a.b\":\"exact\",\"a\":{\"b\":\"nested\"}}", "exact");
    expect("a.b", "{\"x\":{\"a.b\":\"no\"},\"a\":{\"b\":\"nested\"}}", "nested");
    expect("a\\.b", "{\"a\":{\"b\":\"nested\"},\"a.b\":\"exact\"}", "exact");
    expect("m.a\\.b", "{\"m\":{\"a\":{\"b\":\"no\"},\"a.b\":\"yes\"}}", "yes");
    expect("a\\\\.b", "{\"a\\\\\":{\"b\":\"yes\"}}", "yes");
    expect("a\\n", "{\"a\\\\n\":\"yes\"}", "yes");
    expect("", "{\"\":\"yes\"}", "yes");
    expect(".", "{\"\":{\"\":\"yes\"}}", "yes");
    expect("a.b", "{\"a\":[{\"b\":\"no\"}]}", "Eno field 'a.b': 'a' is a list");
    expect("a.b", "{\"a\":\"no\"}", "Eno field 'a.b': 'a' is a string");
    expect("a.b", "{\"a\":{\"c\":1}}", "Eno field 'a.b': 'a' is an object without it");
    expect("a.b", "{\"a\":{\"b\":2}}", "Efield 'a.b' is a number");
    expect("a.b", "{\"a\":{\"b\":\"first\",\"b\":\"last\"}}", "last");
    expect("a.b", "{\"a\":{\"b\":\"first\"},\"a\":{\"b\":\"last\"}}", "last");
    expect("a.b", "{\"a\":{\"b\":\"first\"},\"a\":{}}", "Eno field 'a.b': 'a' is an object without it");
    expect("text", "{\"text\":\"first\",\"text\":null}", "Efield 'text' is null");

    struct json_path path;
    char *text, many[2 * JSON_MAX_PARTS + 1];
    int64_t n;
    int repeats;
    assert_int_equal(json_path_init(&path, "text"), OK);
    static const char three[] = "{\"text\":1,\"x\":{\"text\":1},\"text\":\"2\",\"te\\u0078t\":\"3\"}";
    assert_null(json_field(&path, three, sizeof three - 1, 0, &text, &n, &repeats));
    assert_string_equal(text, "3");
    assert_int_equal(repeats, 2);
    mem_free(text);
    json_path_done(&path);
    memset(many, '.', sizeof many - 1);
    many[JSON_MAX_PARTS - 1] = '\0';
    assert_int_equal(json_path_init(&path, many), OK);
    json_path_done(&path);
    many[JSON_MAX_PARTS - 1] = '.';
    many[JSON_MAX_PARTS] = '\0';
    assert_int_equal(json_path_init(&path, many), ERR_USAGE);
}

/* Any depth up to the limit, in a bit a level and no stack. */
static void depth(void **state)
{
    static const int64_t depths[] = { 1, 63, 64, 1022, 1023, 1024, 3000, 100000, JSON_MAX_DEPTH - 1,
                                      JSON_MAX_DEPTH };
    (void)state;

    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        for (int broken = 0; broken < 2; broken++) {
            const int64_t d = depths[i];
            char *line = malloc((size_t)d * 8 + 100), *p = stpcpy(line, "{\"d\":");
            for (int64_t k = 0; k < d; k++) p = stpcpy(p, k % 3 == 1 ? "{\"a\":" : "[");
            p = stpcpy(p, "\"text\"");
            for (int64_t k = d - 1; k >= 0; k--)
                *p++ = (k % 3 == 1) ^ (broken && k == d / 2) ? '}' : ']';
            strcpy(p, ",\"text\":\"yes\"}");
            const int64_t before = mem_live_bytes();
            expect("text", line, d == JSON_MAX_DEPTH ? "Eat most 1048576 levels of nesting" :
                   broken ? "Enot JSON: expected ','" : "yes");
            assert_int_equal(mem_live_bytes(), before);
            free(line);
        }
}

/* Lines with all of this at random, and what Python's json finds in them (tests/golden/README.md). */
static void as_python_reads_them(void **state)
{
    char *lines, *texts, *line, *want, *rest[2];
    size_t n[2];
    int read = 0, refused = 0;
    (void)state;

    assert_int_equal(file_slurp(&lines, &n[0], "tests/golden/lines/lines.jsonl", 1 << 20), OK);
    assert_int_equal(file_slurp(&texts, &n[1], "tests/golden/lines/texts", 1 << 20), OK);
    rest[0] = lines;
    rest[1] = texts;
    while ((line = strsep(&rest[0], "\n")) && *line && (want = strsep(&rest[1], "\n"))) {
        char *hex = strchr(want, ' '), byte[3] = "";
        int64_t got_n = 0;
        *hex++ = '\0';
        char *got = read_line(want, line, (int64_t)strlen(line), &got_n);
        int same = *hex == '-' ? *got == 'E' : got_n == (int64_t)strlen(hex) / 2;
        for (int64_t i = 0; same && *hex == 'x' && i < got_n; i++) {
            memcpy(byte, hex + 1 + 2 * i, 2);
            same = (unsigned char)got[i] == strtoul(byte, NULL, 16);
        }
        if (!same) fail_msg("%s\n  field %s: %s\n  not %s", line, want, got, hex);
        *(*hex == '-' ? &refused : &read) += 1;
        mem_free(got);
    }
    mem_free(lines);
    mem_free(texts);
    assert_int_equal(read + refused, 240);
    assert_true(refused > 20);
}

/* Any bytes: an error or UTF-8, and nothing is read after the end. */
static void noise(void **state)
{
    static const char alphabet[] = "{}[]:,\"\"\"\\\\u0d8text  1n\xc3\xa9\n";
    (void)state;

    for (uint64_t i = 0; i < 100000; i++) {
        char line[80] = "{\"text\":\"";
        const int begun = i % 2 ? 9 : 0;  /* half of them begin well */
        int64_t text_n = 0, n = begun + (int64_t)(rng_u64(1, 64 * i) % 60);
        for (int64_t k = begun; k < n; k++)
            line[k] = alphabet[rng_u64(1, 64 * i + (uint64_t)k + 1) % (sizeof alphabet - 1)];
        char *got = read_line("text", line, n, &text_n);
        if (*got != 'E') assert_int_equal(utf8_valid(got, text_n), text_n);
        mem_free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_fields_are_skipped), cmocka_unit_test(the_field_is_read_strictly),
        cmocka_unit_test(a_line_is_one_object), cmocka_unit_test(names), cmocka_unit_test(depth),
        cmocka_unit_test(as_python_reads_them), cmocka_unit_test(noise),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed || mem_live_blocks() != 0;
}
