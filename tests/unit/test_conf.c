/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: what is wrong is refused with its place, all of it at once; what is right
 * survives being written and read back; hostile files end quickly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/conf/conf.h"
#include "src/conf/conf_table.h"
#include "tests/unit/conf_bad.h"

#include <cmocka.h>

#include "tests/unit/said.h"  /* after cmocka */

#define HEAD "data: {train: d}\n"

/* conf_parse() with its messages caught. */
static int parse_n(struct conf *c, const char *text, size_t n, char *const *sets, int n_sets)
{
    hear(1);
    const int rc = conf_parse(c, text, n, "some/t.yaml", sets, n_sets, NULL);
    hear(0);
    return rc;
}

static int parse(struct conf *c, const char *text)
{
    return parse_n(c, text, strlen(text), NULL, 0);
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void bad_ones(void **state)
{
    struct conf c;
    int wrong = 0;
    (void)state;

    assert_true(sizeof bad / sizeof *bad >= 150);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[2048], want[512];
        snprintf(text, sizeof text, HEAD "%s", bad[i].text);
        snprintf(want, sizeof want, "%s%s", bad[i].says[0] > '9' ? "" : "some/t.yaml:",
                 bad[i].says);
        if (parse(&c, text) == ERR_CONFIG && strstr(said, want) && *said) continue;
        print_error("%s  should say: %s\n  says: %s\n", bad[i].text, want, said);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* A line says one mistake; a mistake is reported once. */
static void all_at_once(void **state)
{
    static const char text[] =
        "modle: {width: 8}\n"
        "model:\n"
        "  width: seven\n"
        "  heads: 5\n"             /* width is wrong: nothing is reported about 768 / 5 */
        "  tied: yes\n"
        "train: {steps: 0, context: &x 2048, batch_tokens: 100}\n"
        "optim: {lr: .nan, wamup_steps: 3}\n";
    static const char *const want[] = {
        "t.yaml:1:1: modle: ", "t.yaml:3:10: model.width: ", "t.yaml:5:9: model.tied: ",
        "t.yaml:6:16: train.steps: ", "t.yaml:6:28: expected no anchor",
        "t.yaml:6:51: train.batch_tokens: ", "t.yaml:7:13: optim.lr: ",
        "t.yaml:7:19: optim.wamup_steps: ", "(did you mean optim.warmup_steps?)",
        "t.yaml:1:1: data.train: expected printable text",
    };
    struct conf c;
    (void)state;

    assert_int_equal(parse(&c, text), ERR_CONFIG);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(said, want[i])) fail_msg("'%s' is missing in\n%s", want[i], said);
    assert_int_equal(lines(said), sizeof want / sizeof *want - 1);
}

/* A byte order mark takes no place in line 1, and hides no mistake. */
static void marked_text_has_the_same_places(void **state)
{
    static const char text[] = "\xef\xbb\xbf" "modle: {}\ndata: {train: d}\nmodel: {width: x}\n";
    struct conf c;
    (void)state;

    assert_int_equal(parse(&c, text), ERR_CONFIG);
    assert_non_null(strstr(said, "t.yaml:1:1: modle: expected a section"));
    assert_non_null(strstr(said, "t.yaml:3:16: model.width: expected"));
    assert_int_equal(lines(said), 2);
    assert_int_equal(parse(&c, "data: {train: d}\n\xef\xbb\xbf" "model: {}\n"), ERR_CONFIG);
}

/* Every key refuses what no key can be, whatever its row says. */
static void every_key_is_strict(void **state)
{
    static const char *const never[] = { "", "~", "null", "[1]", "{a: 1}", "&a 1", "*a",
                                         "!!str 1" };
    static const char *const numbers[] = { "nan", ".nan", "inf", "-.inf", "1e400", "0x10", "1_0",
                                           "\"1\"", "yes", "-1e300", "1e300" };
    struct conf c;
    (void)state;

    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        const char *part = strchr(k->path, '.') + 1, *leaf = strrchr(k->path, '.') + 1;
        const int deep = part != leaf;  /* launch.slurm.nodes: one section in another */
        const int is_number = k->type == CONF_INT || k->type == CONF_DOUBLE;
        for (size_t j = 0; j < 8 + (is_number ? 11 : 0); j++) {
            const char *value = j < 8 ? never[j] : numbers[j - 8];
            char text[256], place[64];
            if (k->type == CONF_LIST && !strcmp(value, "[1]")) continue;
            snprintf(text, sizeof text, "%.*s:\n%s%.*s%s%s  %s: %s\n", (int)strcspn(k->path, "."),
                     k->path, deep ? "  " : "", deep ? (int)(leaf - part - 1) : 0, part,
                     deep ? ":\n" : "", deep ? "  " : "", leaf, value);
            snprintf(place, sizeof place, "t.yaml:%d:%zu: ", 2 + deep,
                     strlen(leaf) + 4 + 2 * (size_t)deep + (*value != 0) +
                     (k->type == CONF_LAYER && !strcmp(value, "[1]")));  /* the entry's place */
            if (parse(&c, text) != ERR_CONFIG) fail_msg("%s is accepted", text);
            if (*value && !strstr(said, place)) fail_msg("%s\n  says %s", text, said);
        }
    }
}

static void defaults_are_the_papers(void **state)
{
    struct conf c;
    (void)state;

    assert_int_equal(parse(&c, HEAD), OK);
    assert_string_equal(said, "");
    assert_string_equal(c.run.name, "t");
    assert_string_equal(c.run.dir, "logs/t");
    assert_string_equal(c.model.layer, "ttt_linear");
    assert_int_equal(c.model.vocab, 32000);
    assert_true(c.model.gate == 1 && c.model.share_qk == 1 && c.model.pre_conv == 1);
    assert_true(c.model.layers == 12 && c.model.width == 768 && c.model.heads == 12);
    assert_true(c.model.ffn_width == 2048 && c.model.mini_batch == 16 && c.model.conv_width == 4);
    assert_true(c.model.rms_eps == 1e-6 && c.model.init_std == 0.02 && c.model.inner_lr == 1);
    assert_true(c.train.steps == 4800 && c.train.batch_tokens == 524288);
    assert_true(c.train.slice_tokens == 1024 && c.train.reduction == REDUCE_EXACT);
    assert_true(c.eval.context == 2048);
    assert_true(c.optim.lr == 3e-3 && c.optim.min_lr == 1e-5 && c.optim.warmup_steps == 480);
    assert_true(c.optim.decay_steps == 4800 && c.optim.beta2 == 0.95 && c.optim.clip_norm == 1);
    assert_true(c.optim.weight_decay == 0.1 && c.data.mask_bos == 1 && c.checkpoint.keep == 2);
}

static void good_ones(void **state)
{
    static const char *const texts[] = {
        HEAD,
        "\xef\xbb\xbf" HEAD "run: {seed: 3}\n",                    /* a byte order mark */
        "%YAML 1.1\n---\n" HEAD "...\n",
        "# comment \xc3\xa4\r\ndata:\r\n  train: d\r\n",
        "data:\n  train: \"d \\\"\\u00e4\\\\ # no comment\"\nmodel:\n",
        "data: {train: '~', val: 12}\nrun: {name: null-1}\n",
        HEAD "model: {backbone: transformer, gate: true}\n",
        HEAD "model: {layer: \"ttt_linear\", tied: false, heads: 1}\n",
        HEAD "train: {context: 1000, batch_tokens: 3000, slice_tokens: 5000}\n",
        HEAD "train: {context: 64, batch_tokens: 64, steps: 3}\nmodel: {mini_batch: 7}\n",
        HEAD "optim: {lr: +5.e-1, min_lr: .1, eps: 1E-30, warmup_steps: auto, decay_steps: 0}\n",
        HEAD "optim: {lr: 0, min_lr: 0, weight_decay: 0, clip_norm: 0}\n",
        HEAD "checkpoint: {every_minutes: 0.25, every_steps: 7, keep: 1, keep_every: 100}\n",
    };
    struct conf c;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (parse(&c, texts[i]) != OK || *said) fail_msg("%s\n  says %s", texts[i], said);
    assert_int_equal(parse(&c, texts[4]), OK);
    assert_string_equal(c.data.train, "d \"\xc3\xa4\\ # no comment");
    assert_int_equal(parse(&c, texts[6]), OK);
    assert_true(c.model.gate == 1 && c.model.share_qk == 0 && c.model.pre_conv == 0);
    assert_int_equal(parse(&c, texts[9]), OK);
    assert_true(c.train.slice_tokens == 64 && c.optim.warmup_steps == 0);
}

static void overrides(void **state)
{
    char *const good[] = { "optim.lr=1e-3", "optim.lr=2e-3", "data.val=a=b # c", "run.name=x",
                           "model.heads=4", "train.init_from=" };
    char *const wrong[] = { "optim.lr", "=3", "optim.rl=1", "model.width=x", "model.heads=5",
                            "model.tied=", "data.train=null", "data.val=\xff" };
    static const char *const want[] = {
        "--set:1:1: expected key.path=value, found 'optim.lr'",
        "--set:2:1: expected key.path=value, found '=3'",
        "--set:3:1: optim.rl: expected a known key, found an unknown one (did you mean optim.lr?)",
        "--set:4:13: model.width: expected a whole number from 2 to 65536, found 'x'",
        "--set:6:12: model.tied: expected true or false, found nothing",
        "--set:8:10: data.val: expected printable text",
        "--set:7:12: data.train: expected printable text",
    };
    struct conf c;
    (void)state;

    assert_int_equal(parse_n(&c, HEAD, strlen(HEAD), good, 6), OK);
    assert_true(c.optim.lr == 2e-3 && c.model.heads == 4);
    assert_string_equal(c.data.val, "a=b # c");
    assert_string_equal(c.run.dir, "logs/x");
    assert_string_equal(c.train.init_from, "");

    assert_int_equal(parse_n(&c, HEAD, strlen(HEAD), wrong, 8), ERR_CONFIG);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(said, want[i])) fail_msg("'%s' is missing in\n%s", want[i], said);
    assert_int_equal(lines(said), 7);
    assert_int_equal(parse_n(&c, HEAD, strlen(HEAD), wrong + 4, 1), ERR_CONFIG);
    assert_non_null(strstr(said, "--set:1:13: model.heads: expected a divisor of model.width"));
}

/* A value of every row that is allowed, from bits. */
static void any_value(char *out, size_t room, const struct conf_key *k, uint64_t bits)
{
    char number[TEXT_DOUBLE];
    const double u = (double)(bits >> 11) * 0x1p-53;

    switch (k->type) {
    case CONF_DOUBLE:
        text_of_double(number, k->min + (k->max - k->min) * u);
        snprintf(out, room, "%s", number);
        break;
    case CONF_TEXT: snprintf(out, room, "a\"b\\ #\xc3\xa4 %u: {", (unsigned)(bits % 1000)); break;
    case CONF_WORD: snprintf(out, room, "%u[a|b&c]*2", (unsigned)(bits % 1000)); break;
    case CONF_LIST:
        if (bits & 64) *out = '\0';
        else snprintf(out, room, "A_%u=\"\\ #: {", (unsigned)(bits % 1000));
        break;
    case CONF_BOOL: snprintf(out, room, "%s", bits & 64 ? "true" : "false"); break;
    case CONF_ENUM: snprintf(out, room, "%s", k->names[k->names[1] && bits & 64]); break;
    default: snprintf(out, room, "%s", k->preset);
    }
}

/* Bitwise: the resolved copy in a checkpoint is the configuration. */
static void dump_reads_back(void **state)
{
    struct conf c, d;
    (void)state;

    for (uint64_t round = 0; round < 200; round++) {
        static char sets[CONF_PATH][256];
        char *list[CONF_PATH];
        int n = 0;
        for (int i = 0; i < conf_key_count; i++) {
            char value[128];
            any_value(value, sizeof value, &conf_keys[i], rng_u64(round, (uint64_t)i));
            snprintf(sets[n], sizeof sets[n], "%s=%s", conf_keys[i].path, value);
            list[n] = sets[n];
            n++;
        }
        list[n++] = "optim.min_lr=0";
        list[n++] = "model.qkv_bias=false";
        if (round % 3) list[n++] = "model.layer=[mamba, ttt_linear, attention]";
        list[n++] = "model.sliding_window=0";
        list[n++] = "model.rope_scaling.type=default";
        list[n++] = "model.rope_scaling.factor=1";
        list[n++] = round % 2 ? "optim.kind=adamw" : "optim.state=fp32";
        list[n++] = round % 2 ? "run.grid=2x1x4" : "run.grid=auto";
        list[n++] = round % 2 ? "launch.slurm.time=2-00" : "launch.slurm.time=30:00";
        list[n++] = round % 2 ? "data.skip=5-7,9" : "data.skip=";
        list[n++] = "train.init_change=model.rope_theta";
        list[n++] = "launch.slurm.modules=gcc/12.2";
        list[n++] = "launch.slurm.options=--mail-type=END,FAIL";
        if (parse_n(&c, HEAD, strlen(HEAD), list, n) != OK) fail_msg("%s", said);
        char *once = conf_text(&c);
        if (parse(&d, once) != OK) fail_msg("%s\n%s", said, once);
        assert_memory_equal(&c, &d, sizeof c);
        char *twice = conf_text(&d);
        assert_string_equal(once, twice);
        mem_free(once);
        mem_free(twice);
    }
}

/* A list of layers is repeated through the depth.  One text for one meaning: a list of one is the
 * word, and what repeats itself is written once. */
static void layers_may_differ(void **state)
{
    static const struct { const char *value, *text; } lists[] = {
        { "mamba", "  layer: mamba\n" }, { "[mamba]", "  layer: mamba\n" },
        { "[mamba, mamba, mamba]", "  layer: mamba\n" },
        { "[ttt_linear, 'mamba']", "  layer: [ttt_linear, mamba]\n" },
        { "[mamba, ttt_mlp, mamba, ttt_mlp]", "  layer: [mamba, ttt_mlp]\n" },
        { "[mamba, ttt_mlp, mamba]", "  layer: [mamba, ttt_mlp, mamba]\n" },
    };
    struct conf c, d;
    (void)state;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char text[256], set[128];
        char *sets[] = { set };
        snprintf(text, sizeof text, HEAD "model: {layer: %s}\n", lists[i].value);
        snprintf(set, sizeof set, "model.layer=%s", lists[i].value);
        if (parse(&c, text) != OK) fail_msg("%s", said);
        assert_int_equal(parse_n(&d, HEAD, strlen(HEAD), sets, 1), OK);
        assert_memory_equal(&c, &d, sizeof c);
        char *whole = conf_text(&c);
        if (!strstr(whole, lists[i].text)) fail_msg("%s\n%s", lists[i].text, whole);
        mem_free(whole);
    }
}

/* What belongs to any layer of the list has a value, everything else means "none". */
static void a_mixture_has_the_union(void **state)
{
    struct conf c;
    struct dims d;
    (void)state;

    assert_int_equal(parse(&c, HEAD "model: {layer: [mamba, attention], layers: 3, kv_heads: 4, "
                           "head_dim: 32, state: 8}\n"), OK);
    conf_dims(&c, &d);
    assert_string_equal(d.layer, "mamba, attention");
    assert_true(d.H == 12 && d.Hkv == 4 && d.F == 32 && d.state == 8 && d.expand == 2);
    assert_true(d.E == 2048 && d.K == 1 && !d.gate && !d.pre_conv && d.rms_eps == 1e-6);
    assert_int_equal(parse(&c, HEAD "model: {layer: [ttt_mlp, ttt_linear]}\n"), OK);
    conf_dims(&c, &d);
    assert_true(d.K == 16 && d.gate && d.pre_conv && d.share_qk && !d.state && d.E == 2048);
    assert_int_equal(parse(&c, HEAD "model: {layer: [mamba, mamba]}\n"), OK);
    conf_dims(&c, &d);
    assert_true(d.E == 0 && d.rms_eps == 1e-5 && d.H == 1);
}

/* Text that grows `from` by `piece` to at least n bytes. */
static char *grown(const char *from, const char *piece, size_t n)
{
    char *text = mem_new((int64_t)(n + strlen(from) + strlen(piece) + 1), 1, "test");
    size_t used = strlen(strcpy(text, from));
    while (used < n) used += strlen(strcpy(text + used, piece));
    return text;
}

static void hostile(void **state)
{
    static const struct { const char *from, *piece; size_t n; const char *says; } texts[] = {
        { HEAD, "[", 100000, "expected YAML" },  /* no key is longer than 1024 */
        { HEAD "a: ", "[\n ", 300000, "expected at most 16 levels" },
        { HEAD "a: ", "{a: ", 400000, "expected at most 16 levels" },
        { HEAD "a: ", "[[a], [b], ", 400000, "expected at most 16 levels" },
        { HEAD "model: {", "x: 1, ", 1000000, "expected at most 20000 keys and values" },
        { HEAD "a: [", "0,", 1000000, "expected at most 20000 keys and values" },
        { HEAD "a: ", "xxxxxxxx", 1000000, "expected at most 4096 bytes in a value" },
        { HEAD "a: \"", "\\u00e4", 1000000, "expected YAML" },
        { HEAD, "# comment\n", 1048577, "expected at most 1048576 bytes" },
        { HEAD, "- ", 100000, "expected YAML" },
        { HEAD "a:\n", "? ", 100000, "expected at most 16 levels" },
        { HEAD "a: &a [x, x, x, x, x, x, x, x]\n", "b: &b [*a, *a, *a, *a, *a, *a]\n", 4000,
          "expected no anchor" },
    };
    static const char zero[] = HEAD "model: {width: 768}\0, x: 1}\n";
    static const char utf16[] = "\xff\xfe" "d\0a\0t\0a\0:\0 \0{\0}\0";
    struct conf c;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text = grown(texts[i].from, texts[i].piece, texts[i].n);
        const double start = clock_s();
        assert_int_equal(parse(&c, text), ERR_CONFIG);
        print_message("hostile %2zu: %.3f s\n", i, clock_s() - start);
        if (!strstr(said, texts[i].says)) fail_msg("'%s' is missing in\n%s", texts[i].says, said);
        assert_true(lines(said) <= 52);
        mem_free(text);
    }
    assert_int_equal(parse_n(&c, zero, sizeof zero - 1, NULL, 0), ERR_CONFIG);
    assert_non_null(strstr(said, "t.yaml:2:20: expected text, found the control character 0x00"));
    assert_int_equal(parse_n(&c, utf16, sizeof utf16 - 1, NULL, 0), ERR_CONFIG);
    assert_non_null(strstr(said, "t.yaml:1:1: expected UTF-8, found UTF-16 text (little-endian)"));
    assert_int_equal(parse(&c, ""), ERR_CONFIG);  /* data.train has no default */
}

/* Any bytes: no crash, and nothing accepted that does not read back. */
static void noise(void **state)
{
    static const char alphabet[] = "{}[]:,#&*!|>'\"%@`-? \n\tax1.\\=~\xc3\xa4";
    static const char base[] = HEAD "model:\n  width: 768\n  heads: 12\noptim: {lr: 1e-3}\n";
    struct conf c;
    (void)state;

    for (uint64_t round = 0; round < 3000; round++) {
        char text[sizeof base];
        memcpy(text, base, sizeof base);
        for (uint64_t i = 0; i < 1 + round % 5; i++) {
            const uint64_t r = rng_u64(round, i);
            text[r % (sizeof base - 1)] = alphabet[(r >> 32) % (sizeof alphabet - 1)];
        }
        const int rc = parse(&c, text);
        assert_true(rc == OK ? !*said : rc == ERR_CONFIG && *said);
        if (rc != OK) continue;
        char *dump = conf_text(&c);
        assert_int_equal(parse(&c, dump), OK);
        mem_free(dump);
    }
}

static void files(void **state)
{
    char path[] = "/tmp/ttt-conf.XXXXXX";
    const int fd = mkstemp(path);
    struct conf c;
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, HEAD, strlen(HEAD), path), OK);
    assert_int_equal(conf_read(&c, path, NULL, 0, NULL), OK);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);  /* a hole of a tebibyte */
    assert_int_equal(conf_read(&c, path, NULL, 0, NULL), ERR_CONFIG);
    close(fd);
    unlink(path);
    assert_int_equal(conf_read(&c, path, NULL, 0, NULL), ERR_MISSING);
    assert_int_equal(conf_read(&c, "/tmp", NULL, 0, NULL), ERR_MISSING);
}

static void parts_left_out_reach_the_layer(void **state)
{
    struct conf c;
    struct dims d;
    (void)state;

    static const struct { const char *key; int part; } parts[] = {
        { "inner_norm", WITHOUT_NORM }, { "inner_residual", WITHOUT_RESIDUAL },
        { "inner_bias", WITHOUT_BIAS }, { "inner_mean", WITHOUT_MEAN },
        { "learn_init", WITHOUT_INIT }, { "learn_gate", WITHOUT_GATE },
        { "learn_token_idx", WITHOUT_TOKEN_IDX },
    };
    for (int i = 0; i < 7; i++) {
        char text[128];
        snprintf(text, sizeof text, HEAD "model: {%s: false}\n", parts[i].key);
        assert_int_equal(parse(&c, text), OK);
        conf_dims(&c, &d);
        assert_int_equal(d.without, parts[i].part);
    }
}

/* Width of heads: what width / heads says is no width of their own, whoever says it. */
static void head_widths(void **state)
{
    (void)state;
    static const struct { const char *keys; int is, F, width; } cases[] = {
        { "layer: attention", 64, 0, 64 }, { "layer: attention, head_dim: 64", 64, 0, 64 },
        { "layer: attention, head_dim: 80", 80, 80, 80 }, { "head_dim: 64", -1, 0, 64 },
        { "layer: attention, width: 770, head_dim: 96", 96, 96, 96 }, { "width: 24", -1, 0, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conf c;
        struct dims d;
        char text[256];
        snprintf(text, sizeof text, HEAD "model: {%s}\n", cases[i].keys);
        assert_int_equal(parse(&c, text), OK);
        conf_dims(&c, &d);
        assert_int_equal(d.F, cases[i].F);
        assert_int_equal(c.model.head_dim, cases[i].is);
        assert_int_equal(head_width(&d), cases[i].width);
    }
}

static void rope_scalings(void **state)
{
    (void)state;
    struct conf c;
    struct dims d;
    assert_int_equal(parse(&c, HEAD "model: {layer: attention, rope_scaling: {type: llama3, factor: 8,"
                               " original_context: 4096}}\n"), OK);
    conf_dims(&c, &d);
    assert_true(d.rope_scaling == ROPE_LLAMA3 && d.rope_factor == 8 && d.rope_low == 1 &&
                d.rope_high == 4 && d.rope_original == 4096);
    /* What the kind does not take is no part of the model. */
    assert_int_equal(parse(&c, HEAD "model: {layer: attention, rope_scaling: {type: linear, factor: 8,"
                               " original_context: 4096}}\n"), OK);
    conf_dims(&c, &d);
    assert_true(d.rope_scaling == ROPE_LINEAR && d.rope_factor == 8 && d.rope_low == 0 &&
                d.rope_high == 0 && d.rope_original == 0);
    assert_int_equal(parse(&c, HEAD), OK);
    conf_dims(&c, &d);
    assert_true(d.rope_scaling == ROPE_DEFAULT && d.rope_factor == 0);
}

static void modules_see_it(void **state)
{
    struct conf c;
    struct dims d;
    struct pass_opts o;
    struct optim_opts a;
    (void)state;

    assert_int_equal(parse(&c, HEAD "model: {vocab: 99, layers: 3, width: 24, heads: 2, ffn_width: "
                               "7, mini_batch: 8, conv_width: 3, gate: false, rope_theta: 5, "
                               "rms_eps: 1e-3, ln_eps: 1e-4, init_std: 0.5, inner_lr: 2}\n"
                               "train: {context: 32, batch_tokens: 64, micro_batch: 2, remat: "
                               "block, inner_group: 3, slice_tokens: 16, sequence_mode: heads}\n"), OK);
    conf_dims(&c, &d);
    assert_string_equal(d.layer, "ttt_linear");
    assert_true(d.V == 99 && d.L == 3 && d.C == 24 && d.H == 2 && d.E == 7 && d.K == 8);
    assert_true(d.conv_width == 3 && d.gate == 0 && d.share_qk == 1 && d.pre_conv == 1);
    assert_true(d.tied == 1 && d.rope_theta == 5 && d.rms_eps == 1e-3 && d.ln_eps == 1e-4);
    assert_true(d.init_std == 0.5 && d.inner_lr == 2 && d.without == 0);
    conf_pass(&c, &o, 1);
    assert_true(o.context == 32 && o.slice_tokens == 16 && o.micro_batch == 2);
    assert_true(o.inner_group == 3 && o.remat == REMAT_BLOCK && o.mask_token == 1);
    assert_true(o.sequence_mode == SEQ_HEADS);
    c.data.mask_bos = 0;
    conf_pass(&c, &o, 1);
    assert_int_equal(o.mask_token, -1);
    conf_optim(&c, &a);
    assert_memory_equal(&a, &c.optim, sizeof a);
}

/* The names of struct conf and of the table cannot drift apart. */
static void table_is_sound(void **state)
{
    (void)state;
    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        int section = 0;
        const int n = (int)(strrchr(k->path, '.') - k->path);
        while (conf_run.sections[section] &&
               (strncmp(k->path, conf_run.sections[section], (size_t)n) ||
                conf_run.sections[section][n]))
            section++;
        assert_non_null(conf_run.sections[section]);
        assert_int_equal(conf_find(&conf_run, k->path), i);
        assert_true(k->help[0] && k->help[strlen(k->help) - 1] != '.');
        for (int j = 0; j < i; j++) assert_true(conf_keys[j].offset != k->offset);
        if (k->type == CONF_INT) assert_true(k->size == 4 || k->size == 8);
        if (k->type == CONF_INT && k->size == 4) assert_true(k->max <= INT32_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_left_out_reach_the_layer),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(marked_text_has_the_same_places),
        cmocka_unit_test(every_key_is_strict),
        cmocka_unit_test(defaults_are_the_papers),
        cmocka_unit_test(good_ones),
        cmocka_unit_test(overrides),
        cmocka_unit_test(dump_reads_back),
        cmocka_unit_test(layers_may_differ),
        cmocka_unit_test(a_mixture_has_the_union),
        cmocka_unit_test(hostile),
        cmocka_unit_test(noise),
        cmocka_unit_test(files),
        cmocka_unit_test(head_widths), cmocka_unit_test(rope_scalings),
        cmocka_unit_test(modules_see_it),
        cmocka_unit_test(table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
