/* SPDX-License-Identifier: Apache-2.0 */
/* The files for Hugging Face's libraries give the ids that this program gives.  Golden data: the
 * files, and the ids that transformers computed from them (golden/README.md). */
#include "tests/unit/store_test.h"

#include <jansson.h>

#include "src/data/sentencepiece_c.h"
#include "src/data/token.h"
#include "src/data/token_hf.h"

#define GOLDEN "tests/golden/tokenizer/"
#define CONTEXT 64  /* of the model that was exported */

static json_t *read_json(const char *folder, const char *name)
{
    char *path = mem_format(GOLDEN "%s/%s", folder, name);
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, NULL);
    if (!j) fail_msg("%s: can't be read", path);
    mem_free(path);
    return j;
}

static struct tokenizer *open_golden(const char *folder)
{
    char *path = mem_format(GOLDEN "%s/tokenizer.model", folder);
    const int is_file = strcmp(folder, "bytes") != 0;
    struct tokenizer *t = NULL;

    assert_int_equal(is_file ? tokenizer_open(&t, "sentencepiece", path)
                             : tokenizer_open(&t, "bytes", NULL), OK);
    mem_free(path);
    return t;
}

/* The files are those that transformers read, ... */
static void same_files(const char *folder)
{
    struct tokenizer *t = open_golden(folder);
    json_t *tokenizer = read_json(folder, "tokenizer.json");
    json_t *config = read_json(folder, "tokenizer_config.json");
    struct token_hf files;

    token_hf_make(&files, t, CONTEXT);
    assert_null(files.doubt);
    assert_true(json_equal(files.tokenizer, tokenizer));
    assert_true(json_equal(files.config, config));
    assert_string_equal(json_string_value(json_object_get(files.special, "bos_token")), "<s>");
    token_hf_done(&files);
    json_decref(tokenizer);
    json_decref(config);
    tokenizer_close(t);
}

/* ... and these the ids that it got, and that the model was trained with. */
static void same_ids(const char *folder)
{
    struct tokenizer *t = open_golden(folder);
    json_t *rows = read_json(folder, "ids.json"), *row;
    size_t i;

    assert_true(json_array_size(rows) > 60);
    json_array_foreach(rows, i, row) {
        const json_t *text = json_object_get(row, "text"), *want = json_object_get(row, "ids");
        int32_t *ids = NULL;
        int64_t n = 0;
        assert_int_equal(tokenizer_encode(t, json_string_value(text),
                                          (int64_t)json_string_length(text), &ids, &n), OK);
        int same = n == (int64_t)json_array_size(want);
        for (int64_t k = 0; same && k < n; k++)
            same = ids[k] == json_integer_value(json_array_get(want, (size_t)k));
        if (!same) fail_msg("%s: other ids of '%s'", folder, json_string_value(text));
        mem_free(ids);
    }
    json_decref(rows);
    tokenizer_close(t);
}

static void golden(void **state)
{
    (void)state;
    static const char *const folders[] = { "own", "llama", "bytes" };

    for (int i = 0; i < 3; i++) {
        same_files(folders[i]);
        same_ids(folders[i]);
    }
}

/* What names a tokenizer that is in no file. */
static void kind_of_bytes(void **state)
{
    (void)state;
    json_t *bytes = read_json("bytes", "tokenizer_config.json");
    json_t *own = read_json("own", "tokenizer_config.json");

    assert_string_equal(token_hf_kind(bytes), "bytes");
    assert_null(token_hf_kind(own));
    assert_null(token_hf_kind(NULL));
    json_decref(bytes);
    json_decref(own);
}

/* --- models that only the library knows in full ------------------------------------------ */

static const char *next_line(void *arg, size_t *n)
{
    static const char *const lines[] = {
        "In the beginning God created the heaven and the earth", "And the earth was without form",
        "<tag> void and darkness was upon the face of the deep <tag>",
    };
    int *at_line = arg;

    if (*at_line == 60) return NULL;
    const char *line = lines[(*at_line)++ % 3];
    *n = strlen(line);
    return line;
}

static void take(void *arg, const void *p, size_t n)
{
    (void)arg;
    put_file(at("t.model"), p, n);
}

/* Files of a small model that is trained with these options. */
static void make_small(struct token_hf *files, const char *const *more)
{
    const char *options[40] = {
        "vocab_size", "80", "hard_vocab_limit", "false", "minloglevel", "2", NULL,
    };
    struct tokenizer *t = NULL;
    char why[SPM_WHY] = "";
    int line = 0, n = 6;

    while (*more) options[n++] = *more++;
    assert_int_equal(spm_train(options, next_line, &line, take, NULL, why), 0);
    assert_int_equal(tokenizer_open(&t, "sentencepiece", at("t.model")), OK);
    token_hf_make(files, t, 0);
    tokenizer_close(t);
}

#define IDENTITY "normalization_rule_name", "identity"

/* Differences are named; what cannot be written is not written. */
static void doubt_is_said(void **state)
{
    (void)state;
    static const struct { const char *options[16], *doubt; int written; } models[] = {
        { { "model_type", "bpe", IDENTITY, NULL }, NULL, 1 },
        { { "model_type", "char", IDENTITY, NULL }, NULL, 1 },
        { { "model_type", "bpe", NULL }, "normal form", 1 },
        { { "model_type", "unigram", IDENTITY, NULL }, "up to rounding", 1 },
        { { "model_type", "unigram", IDENTITY, NULL }, "the name of a special token", 1 },
        { { "model_type", "bpe", IDENTITY, "user_defined_symbols", "e", NULL }, NULL, 1 },
        { { "model_type", "bpe", IDENTITY, "user_defined_symbols", "<tag>", NULL },
          "user-defined", 1 },
        { { "model_type", "bpe", IDENTITY, "user_defined_symbols", "\n", NULL }, NULL, 1 },
        { { "model_type", "bpe", IDENTITY, "user_defined_symbols", "<tag>", "add_dummy_prefix",
            "false", "remove_extra_whitespaces", "false", NULL }, NULL, 1 },
        { { "model_type", "word", IDENTITY, NULL }, "whole words", 0 },
        { { "model_type", "unigram", IDENTITY, "treat_whitespace_as_suffix", "true", NULL },
          "the word before", 0 },
    };

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct token_hf files;
        make_small(&files, models[i].options);
        const char *class = json_string_value(json_object_get(files.config, "tokenizer_class"));
        if (models[i].doubt ? !files.doubt || !strstr(files.doubt, models[i].doubt) : !!files.doubt)
            fail_msg("model %zu: '%s', expected '%s'", i, files.doubt ? files.doubt : "",
                     models[i].doubt ? models[i].doubt : "");
        assert_int_equal(files.tokenizer != NULL, models[i].written);
        assert_string_equal(class, files.tokenizer ? "PreTrainedTokenizerFast" : "LlamaTokenizer");
        token_hf_done(&files);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden), cmocka_unit_test(kind_of_bytes), cmocka_unit_test(doubt_is_said),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
