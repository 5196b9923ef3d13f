/* SPDX-License-Identifier: Apache-2.0 */
/* Every form of input as public programs wrote it (tests/golden/inputs): the same text, and an
 * error for every truncation and every flipped bit that would change it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data_prep/document.h"
#include "data_prep/find.h"
#include "data_prep/json_field.h"
#include "data_prep/reader.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#include <cmocka.h>

#define GOLDEN "tests/golden/inputs/"

static char dir[] = "/tmp/ttt-inputs.XXXXXX";

/* What a file holds. */
struct found { int64_t documents, bad; struct hash text; char why[400]; };

static struct found read_file(const char *path)
{
    struct inputs in = { .skip_bad = 1 };
    struct found f = { 0 };
    struct json_path field;
    struct hasher *h = hasher_new();
    int more = 1;

    assert_int_equal(json_path_init(&field, "text"), OK);
    assert_int_equal(inputs_add(&in, path, NULL), OK);
    struct reader *r = reader_new(&in, (struct data_place){ 0 });
    while (more) {
        struct record x;
        assert_int_equal(reader_next(r, &x, &more), OK);
        if (!more) break;
        if (!x.bad) document_text(&x, &field);
        if (x.bad) snprintf(f.why, sizeof f.why, "%s", x.bad);
        else hasher_add(h, x.raw, (size_t)x.n + 1);  /* with its zero byte */
        f.bad += x.bad != NULL;
        f.documents += x.bad == NULL;
        mem_free(x.raw);
        mem_free(x.bad);
    }
    f.text = hasher_get(h);
    hasher_free(h);
    reader_free(r);
    json_path_done(&field);
    inputs_done(&in);
    return f;
}

static int64_t load(char *p, int64_t room, const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const int64_t n = (int64_t)fread(p, 1, (size_t)room, f);
    fclose(f);
    assert_true(n > 0 && n < room);
    return n;
}

static void save(const char *path, const char *p, int64_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, (size_t)n, f), n);
    fclose(f);
}

#define EVERY 4  /* bytes: each place costs a reading of the file */

/* A file of GOLDEN, whole, and then cut and with a flipped bit at every fourth byte.
 * member  where a first gzip member ends: a file that ends there is a whole one */
static void try(const char *name, struct found want, int64_t member)
{
    static char p[1 << 16];
    char path[200];
    struct found got;

    snprintf(path, sizeof path, GOLDEN "%s", name);
    const int64_t n = load(p, sizeof p, path);
    got = read_file(path);
    if (got.bad || got.documents != want.documents || !hash_equal(got.text, want.text))
        fail_msg("%s: %d documents, %d bad, %s", name, (int)got.documents, (int)got.bad, got.why);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (int64_t cut = 0; cut < n; cut += EVERY) {
        save(path, p, cut);
        got = read_file(path);
        if (!got.bad && cut != member) fail_msg("%s: cut at byte %d is not noticed", name, (int)cut);
        if (got.bad && !strstr(got.why, name)) fail_msg("%s is not named: %s", name, got.why);
    }
    for (int64_t i = 0; i < n; i += EVERY) {
        p[i] ^= (char)(1 << i / EVERY % 8);
        save(path, p, n);
        p[i] ^= (char)(1 << i / EVERY % 8);
        got = read_file(path);
        if (!got.bad && (got.documents != want.documents || !hash_equal(got.text, want.text)))
            fail_msg("%s: a flipped bit in byte %d is not noticed", name, (int)i);
    }
    unlink(path);
}

static void compressed(void **state)
{
    const struct found want = read_file(GOLDEN "lines.jsonl");
    (void)state;

    assert_int_equal(want.documents, 40);
    try("lines.jsonl.gz", want, 506);
    try("lines.jsonl.xz", want, 0);
    try("lines.jsonl.bz2", want, 0);
    try("lines.jsonl.lz4", want, 0);
    try("lines.jsonl.zst", want, 0);
}

/* The first `n` bytes of rows.csv and the like: what is wrong, and how many documents are good. */
static struct found cut_at(const char *name, int64_t n)
{
    static char p[1 << 16];
    char path[200];

    snprintf(path, sizeof path, GOLDEN "%s", name);
    const int64_t size = load(p, sizeof p, path);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    save(path, p, n < 0 ? size + n : n);
    const struct found got = read_file(path);
    unlink(path);
    return got;
}

static struct found read_text(const char *name, const char *text)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    save(path, text, (int64_t)strlen(text));
    const struct found got = read_file(path);
    unlink(path);
    return got;
}

static void tables_and_json(void **state)
{
    static const char *const names[] = { "rows.json", "rows.csv", "rows.tsv" };
    static const struct { const char *name, *text, *why; int64_t good, bad; } rows[] = {
        { "a.JSON", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n", NULL, 2, 0 },
        { "a.ndjson", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n", NULL, 2, 0 },
        { "a.json", "{\n \"text\": \"a }\"\n}\n", NULL, 1, 0 },
        { "a.json", "\xef\xbb\xbf [{\"text\":\"]\"},\n{\"text\":\"\\\"\"}]\n", NULL, 2, 0 },
        { "a.json", "[]", "no document in it", 0, 1 },
        { "a.json", "[{\"text\":\"a\"}\n{\"text\":\"b\"}]", "a.json:2: not JSON: expected ',' or ']'", 1, 1 },
        { "a.json", "[{\"text\":\"a\"}] x", "a.json:1: not JSON: expected the end of the file, found 'x'", 1, 1 },
        { "a.json", "[\"a\"]", "expected an object in the array, found '\"'", 0, 1 },
        { "a.json", "[{\"text\":\"a\"},\n{\"no\":1},{\"text\":\"b\"}]", "a.json:2: no field 'text'", 2, 1 },
        { "a.csv", "id,text\n1,a\n\n2,\"b\n\"\"c\"\"\"\n3,d", NULL, 3, 0 },
        { "a.CSV", "id,body\n1,a\n", "a.CSV:1: no column 'text' (--field) in the header, which is: id,body", 0, 1 },
        { "a.csv", "id,text\n1,a,b\n2,c\n", "a.csv:2: a row of 3 fields, but the header has 2", 1, 1 },
        { "a.csv", "id,text\n1,a\n2,\"b\n3,c\n", "a.csv:3: a quoted field that begins in this row", 1, 1 },
        { "a.csv", "id,text\n1,\xff\n2,b\n", "a.csv:2: not UTF-8", 1, 1 },
    };
    const struct found want = read_file(GOLDEN "rows.jsonl");
    (void)state;

    assert_int_equal(want.documents, 12);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[100];
        snprintf(path, sizeof path, GOLDEN "%s", names[i]);
        const struct found got = read_file(path);
        if (got.bad || !hash_equal(got.text, want.text)) fail_msg("%s: %s", path, got.why);
    }
    for (int64_t n = 0; n < 1000; n += EVERY)  /* an array that does not end */
        if (!cut_at("rows.json", n).bad) fail_msg("rows.json: cut at byte %d", (int)n);
    assert_true(cut_at("rows.csv", -3).bad == 1 && cut_at("rows.csv", -3).documents == 11);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct found got = read_text(rows[i].name, rows[i].text);
        if (got.documents != rows[i].good || got.bad != rows[i].bad ||
            (rows[i].why && !strstr(got.why, rows[i].why)))
            fail_msg("%s: %d good, %d bad, %s", rows[i].text, (int)got.documents, (int)got.bad,
                     got.why);
    }
}

/* A reader that begins at the place after a record continues with the next one. */
static void resumed(void **state)
{
    static const char *const names[] = { "rows.json", "rows.csv", "rows.jsonl", "lines.jsonl.gz" };
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct inputs in = { .skip_bad = 1 };
        char path[100];
        struct record x, y;
        int more;

        snprintf(path, sizeof path, GOLDEN "%s", names[i]);
        assert_int_equal(inputs_add(&in, path, NULL), OK);
        struct reader *all = reader_new(&in, (struct data_place){ 0 });
        struct data_place at = { 0 };
        for (;;) {
            struct reader *from = reader_new(&in, at);
            int more_of_it;
            assert_int_equal(reader_next(all, &x, &more), OK);
            assert_int_equal(reader_next(from, &y, &more_of_it), OK);
            assert_int_equal(more, more_of_it);
            if (more) {
                assert_int_equal(x.n, y.n);
                assert_memory_equal(x.raw, y.raw, (size_t)x.n);
                assert_int_equal(x.line, y.line);
                assert_int_equal(x.next.offset, y.next.offset);
                at = x.next;
                mem_free(x.raw);
                mem_free(y.raw);
            }
            reader_free(from);
            if (!more) break;
        }
        reader_free(all);
        inputs_done(&in);
    }
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(compressed), cmocka_unit_test(tables_and_json),
                                         cmocka_unit_test(resumed) };
    const int failed = cmocka_run_group_tests(tests, begin, end);
    return failed || mem_live_blocks() != 0;
}
