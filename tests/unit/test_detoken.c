/* SPDX-License-Identifier: Apache-2.0 */
/* Text from tokens one by one is the text, and every piece of it is valid UTF-8. */
#include "tests/unit/store_test.h"

#include "src/base/rng.h"
#include "src/base/utf8.h"
#include "src/data/token.h"
#include "src/infer/detoken.h"

/* Feed ids after `context`; the pieces joined, a counted string. */
static char *join(const struct tokenizer *t, const int32_t *ids, int64_t n, int64_t context,
                  int64_t *pieces)
{
    struct detoken *d = detoken_new(t, ids, context);
    char *all = mem_new(16 * n + 64, 1, "text");
    const char *text;

    *pieces = 0;
    for (int64_t i = context; i <= n; i++) {
        if (i < n) assert_int_equal(detoken_add(d, ids[i], &text), OK);
        else assert_int_equal(detoken_end(d, &text), OK);
        assert_int_equal(utf8_valid(text, (int64_t)strlen(text)), strlen(text));
        strcat(all, text);
        *pieces += *text != 0;
    }
    detoken_free(d);
    return all;
}

static const char mixed[] = "Ruth said, Intreat me not. \xc3\x89t\xc3\xa9 \xe2\x82\xac 5 "
                            "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 \xe4\xb8\xad\xe6\x96\x87 end";

static void expect_text(const struct tokenizer *t, const char *text)
{
    int32_t *ids;
    int64_t n, pieces;

    assert_int_equal(tokenizer_encode(t, text, (int64_t)strlen(text), &ids, &n), OK);
    char *all = join(t, ids, n, 0, &pieces);
    assert_string_equal(all, text);
    assert_true(pieces > n / 4);  /* streamed, not kept to the end */
    mem_free(all);

    /* After a prompt: the rest, with the space before it. */
    char *before;
    int64_t length;
    for (int64_t context = 1; context < n; context++) {
        assert_int_equal(tokenizer_decode(t, ids, context, &before, &length), OK);
        if (utf8_valid(before, length) == length) {
            all = join(t, ids, n, context, &pieces);
            assert_string_equal(all, text + length);
            mem_free(all);
        }
        mem_free(before);
    }
    mem_free(ids);
}

static void bytes_come_as_characters(void **state)
{
    (void)state;
    struct tokenizer *t;
    assert_int_equal(tokenizer_open(&t, "bytes", NULL), OK);
    expect_text(t, mixed);
    tokenizer_close(t);
}

struct lines { int next; };
static const char *line(void *arg, int64_t *n)
{
    static const char *const text[] = {
        "And Ruth said, Intreat me not to leave thee, or to return from following after thee.",
        "for whither thou goest, I will go; and where thou lodgest, I will lodge.",
        "thy people shall be my people, and thy God my God.",
        "Where thou diest, will I die, and there will I be buried.",
    };
    struct lines *l = arg;
    if (l->next == 4) return NULL;
    *n = (int64_t)strlen(text[l->next]);
    return text[l->next++];
}

static void pieces_keep_their_spaces(void **state)
{
    (void)state;
    struct lines lines = { 0 };
    struct tokenizer *t;
    char *model;
    size_t n;

    assert_int_equal(tokenizer_train(&model, &n, 320, line, &lines), OK);
    put_file(at("tokenizer.model"), model, n);
    assert_int_equal(tokenizer_open(&t, "sentencepiece", at("tokenizer.model")), OK);
    expect_text(t, mixed);
    expect_text(t, "And Ruth said, I will go; and I will lodge.");
    tokenizer_close(t);
    mem_free(model);
}

/* A sampler may say anything: what is no character becomes U+FFFD, and nothing
 * is held back for ever. */
static void garbage_passes(void **state)
{
    (void)state;
    struct tokenizer *t;
    int32_t ids[300];
    int64_t pieces;
    const uint64_t key = rng_key(1, "garbage");

    assert_int_equal(tokenizer_open(&t, "bytes", NULL), OK);
    for (int i = 0; i < 300; i++) ids[i] = (int)(rng_u64(key, (uint64_t)i) % 258);
    ids[0] = 'a';
    mem_free(join(t, ids, 300, 0, &pieces));
    assert_true(pieces > 300 / 5);

    for (int i = 0; i < 300; i++) ids[i] = i % 2 ? 256 : 0x80;  /* <s> has no text */
    char *all = join(t, ids, 300, 0, &pieces);
    assert_int_equal(strlen(all), 3 * 150);
    mem_free(all);
    for (int i = 0; i < 300; i++) ids[i] = 256;
    all = join(t, ids, 300, 0, &pieces);
    assert_string_equal(all, "");
    mem_free(all);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_as_characters),
        cmocka_unit_test(pieces_keep_their_spaces),
        cmocka_unit_test(garbage_passes),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
