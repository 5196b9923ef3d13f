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
    const struct CMUnitTest tests[] = { cmocka_unit_test(compressed) };
    return cmocka_run_group_tests(tests, begin, end);
}
