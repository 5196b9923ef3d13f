/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers give back every byte of valid UTF-8, and cutting a text into
 * chunks changes no token. */
#include "tests/unit/store_test.h"

#include "src/base/rng.h"
#include "src/base/utf8.h"
#include "src/data/sentencepiece_c.h"
#include "src/data/spm_model.h"
#include "src/data/token.h"

#define VOCAB 500

/* The start of Genesis and things that tokenizers get wrong. */
static const char *const texts[] = {
    "In the beginning God created the heaven and the earth.\nAnd the earth was without form, and "
    "void; and darkness was upon the face of the deep.  And the Spirit of God moved upon the face "
    "of the waters.\n\nAnd God said, Let there be light: and there was light.",
    "", " ", "  ", "\n", "\n\n\n", "\t", " a", "a ",
    "  two  spaces  ", "\n leading", "tab\tand\ttab",
    "line\r\nline\r\n", "caf\xc3\xa9 \xc3\x9c\xc3\xb1\xc3\xaf",
    "\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
    "\xe2\x96\x81 \xe2\x96\x81\xe2\x96\x81" "a\xe2\x96\x81",
    "<s> </s> <unk> <0x41> <pad>",
    "\xef\xbb\xbf" "a byte order mark", "\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf",
    "\xe4\xb8\xad\xe6\x96\x87",
    "\x01\x7f\xc2\x80", "\xf4\x8f\xbf\xbf",
};
#define TEXTS (sizeof texts / sizeof *texts)

static char *model_path, *llama_path;

struct corpus { int at; };

static const char *next_text(void *arg, int64_t *n)
{
    struct corpus *c = arg;
    if (c->at == 40) return NULL;
    const char *text = texts[c->at++ % (int)TEXTS];
    *n = (int64_t)strlen(text);
    return text;
}

struct taken { char *p; size_t n; };

static void take(void *arg, const void *p, size_t n)
{
    struct taken *m = arg;
    m->p = memcpy(mem_new((int64_t)n, 1, "model"), p, n);
    m->n = n;
}

static const char *next_sentence(void *arg, size_t *n)
{
    int64_t k = 0;
    const char *text = next_text(arg, &k);
    if (text) *n = strcspn(text, "\n");  /* its trainer saw lines */
    return text;
}

static const char *again_and_again(void *arg, size_t *n)
{
    struct { const char *p; int left; } *line = arg;
    *n = strlen(line->p);
    return line->left-- > 0 ? line->p : NULL;
}

/* As Llama's: a space before every text, newline a byte. */
static int train_llama(void)
{
    static const char *const options[] = {
        "model_type", "bpe", "vocab_size", "420", "normalization_rule_name", "identity",
        "remove_extra_whitespaces", "false", "byte_fallback", "true", "split_digits", "true",
        "allow_whitespace_only_pieces", "true", "minloglevel", "2", NULL,
    };
    struct corpus c = { 0 };
    struct taken m = { 0 };
    char why[SPM_WHY] = "";

    if (spm_train(options, next_sentence, &c, take, &m, why) != 0) return -1;
    llama_path = mem_string(at("llama.model"));
    put_file(llama_path, m.p, m.n);
    mem_free(m.p);
    return 0;
}

static int setup(void **state)
{
    struct corpus c = { 0 }, again = { 0 };
    char *model = NULL, *same = NULL;
    size_t n = 0, m = 0;

    if (work_make(state) != 0) return -1;
    model_path = mem_string(at("t.model"));
    if (tokenizer_train(&model, &n, VOCAB, next_text, &c) != OK) return -1;
    if (tokenizer_train(&same, &m, VOCAB, next_text, &again) != OK) return -1;
    if (n != m || memcmp(model, same, n) != 0) return -1;  /* the same text, the same model */
    put_file(model_path, model, n);
    mem_free(model);
    mem_free(same);
    return train_llama();
}

static int teardown(void **state)
{
    mem_free(model_path);
    mem_free(llama_path);
    return work_remove(state);
}

static void gives_back(const struct tokenizer *t, const char *text, int64_t n)
{
    int32_t *ids = NULL;
    int64_t count = 0, length = 0;
    char *back = NULL;

    assert_int_equal(tokenizer_encode(t, text, n, &ids, &count), OK);
    for (int64_t i = 0; i < count; i++) assert_in_range(ids[i], 0, tokenizer_vocab(t) - 1);
    assert_int_equal(tokenizer_decode(t, ids, count, &back, &length), OK);
    assert_int_equal(length, n);
    assert_memory_equal(back, text, (size_t)n);
    mem_free(ids);
    mem_free(back);
}

/* n random characters of all lengths, NUL too. */
static int64_t random_text(char *out, int64_t n, uint64_t key)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t x = rng_u64(key, (uint64_t)i);
        uint32_t c = (uint32_t)(x >> 32) % (x % 4 == 0 ? 0x110000 : x % 4 == 1 ? 0x3000 : 0x80);
        if (c >= 0xd800 && c < 0xe000) c = ' ';
        if (c < 0x80) {
            out[k++] = (char)c;
        } else if (c < 0x800) {
            out[k++] = (char)(0xc0 | c >> 6);
            out[k++] = (char)(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
            out[k++] = (char)(0xe0 | c >> 12);
            out[k++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[k++] = (char)(0x80 | (c & 0x3f));
        } else {
            out[k++] = (char)(0xf0 | c >> 18);
            out[k++] = (char)(0x80 | (c >> 12 & 0x3f));
            out[k++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[k++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return k;
}

static void round_trip(const struct tokenizer *t)
{
    static char text[4 * 500];
    for (size_t i = 0; i < TEXTS; i++) gives_back(t, texts[i], (int64_t)strlen(texts[i]));
    gives_back(t, "a\0b\0\0", 5);
    for (uint64_t i = 0; i < 300; i++) {
        const int64_t n = random_text(text, 1 + (int64_t)(i * 500 / 300), rng_key(i, "text"));
        assert_int_equal(utf8_valid(text, n), n);
        gives_back(t, text, n);
    }
}

static void bytes_give_back(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    assert_int_equal(tokenizer_open(&t, "bytes", NULL), OK);
    assert_int_equal(tokenizer_vocab(t), 258);
    assert_int_equal(tokenizer_bos(t), 256);
    assert_int_equal(tokenizer_eos(t), 257);
    round_trip(t);
    gives_back(t, "\xff\xfe\x80", 3);  /* bytes need not be UTF-8 */
    tokenizer_close(t);
}

static void sentencepiece_gives_back(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    int32_t *ids = NULL;
    int64_t n = 0;

    assert_int_equal(tokenizer_open(&t, "sentencepiece", model_path), OK);
    assert_int_equal(tokenizer_vocab(t), VOCAB);
    round_trip(t);
    quiet(1);
    assert_int_equal(tokenizer_encode(t, "\xff", 1, &ids, &n), ERR_DATA);
    quiet(0);
    assert_null(ids);
    tokenizer_close(t);
}

static void collect(void *arg, const int *ids, size_t n)
{
    int32_t **out = arg;
    memcpy(*out, ids, n * sizeof *ids);
    *out += n;
}

/* The library alone, on the whole text at once, is the oracle.  The text is long
 * enough for many chunks; runs without newline and without space are in it. */
static void chunks_of_model(const char *path)
{
    const int64_t room = 1 << 19;
    char *text = mem_new(room, 1, "text"), why[SPM_WHY], *model = NULL, *back = NULL;
    int32_t *want = mem_new(room, sizeof *want, "ids"), *end = want, *ids = NULL;
    int64_t n = 0, count = 0, chunks = 0, by_chunk = 0, length = 0;
    struct tokenizer *t = NULL;
    size_t size = 0;

    for (uint64_t i = 0; n < room - 3000; i++) {
        const int64_t from = n;
        const uint64_t x = rng_u64(9, i);
        if (x % 3 == 0) n += random_text(text + n, 500, rng_key(i, "chunk"));
        const char *more = texts[x % TEXTS];
        memcpy(text + n, more, strlen(more));
        n += (int64_t)strlen(more);
        for (int64_t k = from; k < n && i % 5; k++)
            if (text[k] == '\n') text[k] = ' ';
        for (int64_t k = from; k + 2 < n; k++)  /* the library's own space has its own test */
            if (memcmp(text + k, "\xe2\x96\x81", 3) == 0) memcpy(text + k, "\xe2\x96\x82", 3);
    }
    assert_int_equal(file_slurp(&model, &size, path, 1 << 24), OK);
    struct spm *s = spm_new(model, size, why);
    assert_non_null(s);
    assert_int_equal(spm_encode(s, text, (size_t)n, collect, &end, why), 0);
    spm_free(s);

    assert_int_equal(tokenizer_open(&t, "sentencepiece", path), OK);
    assert_int_equal(tokenizer_encode(t, text, n, &ids, &count), OK);
    assert_int_equal(count, end - want);
    assert_memory_equal(ids, want, (size_t)count * sizeof *ids);
    mem_free(ids);
    for (int64_t from = 0, to; from < n; from = to, chunks++) {
        to = tokenizer_chunk(t, text, n, from);
        assert_true(to > from && to - from <= 300 << 10);
        assert_int_equal(tokenizer_encode_chunk(t, text, from, to, &ids, &count), OK);
        assert_memory_equal(ids, want + by_chunk, (size_t)count * sizeof *ids);
        by_chunk += count;
        mem_free(ids);
    }
    assert_int_equal(by_chunk, end - want);
    assert_int_equal(tokenizer_decode(t, want, by_chunk, &back, &length), OK);
    assert_int_equal(length, n);
    assert_memory_equal(back, text, (size_t)n);
    mem_free(back);
    assert_true(chunks > 20);
    tokenizer_close(t);
    mem_free(model);
    mem_free(want);
    mem_free(text);
}

static void chunks_change_nothing(void **state)
{
    (void)state;
    chunks_of_model(model_path);
    chunks_of_model(llama_path);
}

/* A megabyte without a place to cut must still end, and come back whole. */
static void one_endless_word(void **state)
{
    (void)state;
    const int64_t n = 1 << 20;
    char *text = mem_new(n, 1, "text");
    struct tokenizer *t = NULL;

    memset(text, 'e', (size_t)n);
    assert_int_equal(tokenizer_open(&t, "sentencepiece", model_path), OK);
    gives_back(t, text, n);
    tokenizer_close(t);
    mem_free(text);
}

static void newline_is_one_token(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    int32_t *ids = NULL;
    int64_t n = 0;
    assert_int_equal(tokenizer_open(&t, "sentencepiece", model_path), OK);
    assert_int_equal(tokenizer_encode(t, "\n\n\n", 3, &ids, &n), OK);
    assert_int_equal(n, 3);
    mem_free(ids);
    tokenizer_close(t);
}

/* A model without a piece for every byte puts <unk> for runs of characters that it doesn't know. */
static void hidden_text_is_measured(void **state)
{
    (void)state;
    static const char *const options[] = {
        "model_type", "bpe", "vocab_size", "90", "normalization_rule_name", "identity",
        "hard_vocab_limit", "false", "minloglevel", "2", NULL,
    };
    static const char lines[] = "and the earth was without form and the face of the deep";
    static const struct { const char *text; int64_t tokens, bytes, at, n; } cases[] = {
        { "and the earth", 0, 0, 0, 0 },
        { "and \xe6\xbc\xa2\xe5\xad\x97 the", 1, 6, 4, 6 },
        { "\xe6\xbc\xa2 the \xf0\x9f\x99\x82\xce\xa9", 2, 9, 0, 3 },
    };
    struct { const char *p; int left; } once = { lines, 20 };
    struct taken m = { 0 };
    struct tokenizer *t = NULL;
    struct hidden h;
    char why[SPM_WHY] = "", shown[HIDDEN_TEXT];
    int32_t *ids = NULL;
    int64_t n = 0;

    assert_int_equal(spm_train(options, again_and_again, &once, take, &m, why), 0);
    const char *path = at("unk.model");
    put_file(path, m.p, m.n);
    mem_free(m.p);
    assert_int_equal(tokenizer_open(&t, "sentencepiece", path), OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t length = (int64_t)strlen(cases[i].text);
        assert_int_equal(tokenizer_encode(t, cases[i].text, length, &ids, &n), OK);
        assert_int_equal(tokenizer_hidden(t, cases[i].text, 0, length, ids, n, &h), OK);
        assert_int_equal(h.tokens, cases[i].tokens);
        assert_int_equal(h.bytes, cases[i].bytes);
        assert_int_equal(h.at, cases[i].at);
        assert_int_equal(h.n, cases[i].n);
        mem_free(ids);
    }
    tokenizer_close(t);

    h = (struct hidden){ .at = 1, .n = 4 };
    assert_string_equal(hidden_text(shown, "-a\033\177b-", &h), "a??b");
    h.n = 200;  /* of characters of three bytes, as many as there is room for */
    char *wide = mem_new(300, 1, "text");
    for (int i = 0; i < 300; i++) wide[i] = "\xe6\xbc\xa2"[(i + 2) % 3];
    assert_int_equal(strlen(hidden_text(shown, wide, &h)), 39 + 3);
    mem_free(wide);

    assert_int_equal(tokenizer_open(&t, "sentencepiece", model_path), OK);  /* spells all */
    assert_int_equal(tokenizer_encode(t, cases[1].text, 14, &ids, &n), OK);
    assert_int_equal(tokenizer_hidden(t, cases[1].text, 0, 14, ids, n, &h), OK);
    assert_int_equal(h.tokens, 0);
    mem_free(ids);
    tokenizer_close(t);
}

/* U+2581 is the library's sign for a space.  Decoding must give it back where the model gives back
 * everything else; with a dummy space, as Llama's, ids are the library's and it becomes a space. */
static void the_sign_of_a_space_is_text(void **state)
{
    (void)state;
    static const char sign[] = "a\xe2\x96\x81" "b";
    static const int bytes[] = { 0xe2, 0x96, 0x81 };
    struct tokenizer *t = NULL;
    struct spm_model m;
    char *model = NULL, *text = NULL;
    int32_t *ids = NULL;
    int64_t n = 0, length = 0;
    size_t size = 0;

    assert_int_equal(file_slurp(&model, &size, model_path, 1 << 24), OK);
    assert_int_equal(spm_model_read(&m, model, size, model_path), OK);
    assert_int_equal(tokenizer_open(&t, "sentencepiece", model_path), OK);
    assert_int_equal(tokenizer_encode(t, sign, 5, &ids, &n), OK);
    assert_int_equal(n, 5);
    for (int i = 0; i < 3; i++) assert_int_equal(ids[1 + i], m.byte_id[bytes[i]]);
    mem_free(ids);
    tokenizer_close(t);

    assert_int_equal(tokenizer_open(&t, "sentencepiece", llama_path), OK);
    assert_int_equal(tokenizer_encode(t, sign, 5, &ids, &n), OK);
    assert_int_equal(tokenizer_decode(t, ids, n, &text, &length), OK);
    assert_string_equal(text, "a b");
    mem_free(ids);
    mem_free(text);
    tokenizer_close(t);
    spm_model_done(&m);
    mem_free(model);
}

/* Every byte of a model damaged in turn: refused, or read as another model; never
 * a crash, and never the same hash. */
static void damaged_models_do_not_crash(void **state)
{
    (void)state;
    char *model = NULL;
    size_t n = 0;
    struct hash good;
    struct tokenizer *t = NULL;

    assert_int_equal(tokenizer_open(&t, "sentencepiece", model_path), OK);
    good = tokenizer_hash(t);
    tokenizer_close(t);
    assert_int_equal(file_slurp(&model, &n, model_path, 1 << 24), OK);
    const char *path = at("bad.model");
    quiet(1);
    for (size_t i = 0; i < n; i += 7) {
        model[i] = (char)(model[i] ^ (0x80 >> i % 8));
        put_file(path, model, n);
        if (tokenizer_open(&t, "sentencepiece", path) == OK) {
            assert_false(hash_equal(good, tokenizer_hash(t)));
            tokenizer_close(t);
        }
        model[i] = (char)(model[i] ^ (0x80 >> i % 8));
    }
    for (size_t k = 0; k < n; k += 37) {
        put_file(path, model, k);
        if (tokenizer_open(&t, "sentencepiece", path) == OK) tokenizer_close(t);
    }
    assert_int_equal(tokenizer_open(&t, "sentencepiece", at("none")), ERR_MISSING);
    assert_int_equal(tokenizer_open(&t, "words", NULL), ERR_CONFIG);
    quiet(0);
    mem_free(model);
}

static void bad_utf8_is_found(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xf0\x9f\x98", "\xc3(",
    };
    char text[32];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "0123456789%s", bad[i]);
        assert_int_equal(utf8_valid(text, (int64_t)strlen(text)), 10);
    }
    assert_int_equal(utf8_valid("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_give_back),
        cmocka_unit_test(sentencepiece_gives_back),
        cmocka_unit_test(newline_is_one_token),
        cmocka_unit_test(chunks_change_nothing),
        cmocka_unit_test(one_endless_word),
        cmocka_unit_test(hidden_text_is_measured),
        cmocka_unit_test(the_sign_of_a_space_is_text),
        cmocka_unit_test(damaged_models_do_not_crash),
        cmocka_unit_test(bad_utf8_is_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
