/* SPDX-License-Identifier: Apache-2.0 */
/* The files in config/ are valid, have the sizes of the paper's models, and the reference next to
 * them is what the program prints.  Runs in the repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf.h"
#include "src/infer/start_model.h"
#include "src/model/model.h"

#include <cmocka.h>

#define SYSTEMS "ttt-linear", "ttt-mlp", "transformer", "mamba"

static int64_t parameters(const char *file, char *set)
{
    struct conf c;
    struct dims d;
    struct param_table t = { 0 };

    assert_int_equal(conf_read(&c, file, &set, set != NULL, &start_models), OK);
    conf_dims(&c, &d);
    assert_int_equal(model_layout(&t, &d), OK);
    const int64_t n = t.n;
    param_done(&t);
    return n;
}

static const char *const sizes[] = { "125m", "350m", "760m", "1.3b" };

static void check_counts(const char *system, char *set, const int64_t want[4])
{
    for (int i = 0; i < 4; i++) {
        char *file = mem_format("config/%s-%s.yaml", system, sizes[i]);
        assert_int_equal(parameters(file, set), want[i]);
        mem_free(file);
    }
}

/* The authors' code gives these counts (arXiv 2407.04620; ttt-lm-jax 6f529b1). */
static void sizes_of_the_paper(void **state)
{
    static const int64_t linear_m[] = { 110424144, 337684224, 733608192, 1285639296 };
    static const int64_t linear_t[] = { 110276688, 337291008, 733018368, 1284852864 };
    static const int64_t mlp_m[] = { 114589776, 348792576, 758528256, 1307856000 };
    static const int64_t attention[] = { 109529856, 335201280, 728704512, 1279887360 };
    static const int64_t mamba[] = { 115096320, 352797696, 765126144, 1334740992 };
    static const int64_t neox[] = { 129135360, 371516416, 793204224, 1372178432 };
    char transformer[] = "model.backbone=transformer", untied[] = "model.tied=false";
    char padded[] = "model.vocab=50280";
    (void)state;

    check_counts("ttt-linear", NULL, linear_m);
    check_counts("ttt-linear", transformer, linear_t);
    check_counts("ttt-mlp", NULL, mlp_m);
    check_counts("transformer", NULL, attention);
    check_counts("mamba", NULL, mamba);
    check_counts("mamba", padded, neox);  /* of GPT-NeoX's tokenizer, as Mamba was published */
    assert_true(parameters("config/ttt-linear-125m.yaml", untied) > linear_m[0]);
    assert_int_equal(parameters("config/demo-kjv.yaml", NULL), 5931896);
    /* Nine blocks of the one and three of the other, between the same ends. */
    assert_int_equal(parameters("config/hybrid-125m.yaml", NULL),
                     (3 * linear_m[0] + attention[0]) / 4);
}

/* Table 3 of the paper, at its three contexts, for every system. */
static void recipe_of_the_paper(void **state)
{
    static const struct { int blocks, width, heads, ffn; int64_t steps; double lr; } rows[] = {
        { 12, 768, 12, 2048, 4800, 3e-3 }, { 24, 1024, 16, 2736, 13500, 1.5e-3 },
        { 24, 1536, 16, 4096, 29000, 1.25e-3 }, { 24, 2048, 32, 5504, 50000, 1e-3 },
    };
    static const char *const systems[] = { SYSTEMS };
    static const char *const contexts[] = { "2048", "8192", "32768" };
    struct conf c;
    (void)state;

    for (size_t k = 0; k < 4 * 3 * sizeof systems / sizeof *systems; k++) {
        const char *system = systems[k / 12];
        const int i = k / 3 % 4, mlp = !strcmp(system, "ttt-mlp"), mamba = !strcmp(system, "mamba");
        char *file = mem_format("config/%s-%s.yaml", system, sizes[i]);
        char *set = mem_format("train.context=%s", contexts[k % 3]);
        assert_int_equal(conf_read(&c, file, &set, 1, &start_models), OK);
        assert_int_equal(c.model.layers, mamba && i ? 48 : mamba ? 24 : rows[i].blocks);
        assert_true(c.model.width == rows[i].width && c.model.vocab == 32000);
        assert_true(c.model.heads == rows[i].heads);
        assert_int_equal(c.model.ffn_width, mamba ? 0 : rows[i].ffn);
        assert_true(c.train.steps == rows[i].steps && c.optim.lr == rows[i].lr);
        assert_true(c.train.batch_tokens == 524288 && c.train.context == atoi(contexts[k % 3]));
        assert_true(c.optim.warmup_steps == rows[i].steps / 10 && c.optim.min_lr == 1e-5);
        assert_true(c.optim.decay_steps == rows[i].steps);
        assert_true(c.optim.beta1 == 0.9 && c.optim.beta2 == 0.95 && c.optim.eps == 1e-8);
        assert_true(c.optim.weight_decay == 0.1 && c.optim.clip_norm == 1);
        assert_true(c.model.tied && c.model.mini_batch == 16 && c.model.rope_theta == 1e4);
        assert_true(c.model.rms_eps == (mamba ? 1e-5 : 1e-6) && c.model.init_std == 0.02);
        assert_true(c.model.inner_lr == (mlp ? 0.1 : 1) && c.optim.inner_start == (mlp ? 0.1 : 1));
        mem_free(file);
        mem_free(set);
    }
}

/* Each row of Table 1 changes what its name says; the last is TTT-Linear. */
static void the_ablation_ends_at_ttt_linear(void **state)
{
    static const struct { const char *file; int without, K, mamba; } rows[] = {
        { "1-linear-attention", 2 * WITHOUT_MEAN - 1, 2048, 0 },
        { "2-learned-start", 2 * WITHOUT_MEAN - 1 - WITHOUT_INIT, 2048, 0 },
        { "3-norm-residual", WITHOUT_GATE | WITHOUT_TOKEN_IDX | WITHOUT_MEAN, 2048, 0 },
        { "4-mini-batch", WITHOUT_GATE | WITHOUT_TOKEN_IDX | WITHOUT_MEAN, 16, 0 },
        { "5-learned-rate", 0, 16, 0 },
        { "6-mamba-backbone", 0, 16, 1 },
    };
    struct conf c, whole;
    struct dims d;
    (void)state;

    for (int i = 0; i < 6; i++) {
        char *file = mem_format("config/ablation/%s.yaml", rows[i].file);
        assert_true(parameters(file, NULL) > 0);
        assert_int_equal(conf_read(&c, file, NULL, 0, &start_models), OK);
        conf_dims(&c, &d);
        assert_true(d.without == rows[i].without && d.K == rows[i].K);
        assert_true(d.gate == rows[i].mamba && d.share_qk == rows[i].mamba);
        mem_free(file);
    }
    assert_int_equal(conf_read(&whole, "config/ttt-linear-125m.yaml", NULL, 0, &start_models), OK);
    memcpy(&whole.run, &c.run, sizeof c.run);
    assert_memory_equal(&c, &whole, sizeof c);
}

/* The systems of `make compare` are equally large. */
static void the_comparison_is_fair(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        static const char *const systems[] = { SYSTEMS };
        char *file = mem_format("config/compare/%s.yaml", systems[i]);
        const int64_t n = parameters(file, NULL);
        assert_true(n > 5931896 * 0.99 && n < 5931896 * 1.01);
        mem_free(file);
    }
}

/* Fine-tuning is its base but for what it says. */
static void fine_tuning_is_its_base(void **state)
{
    struct conf base, c;
    struct dims a, b;
    (void)state;

    assert_int_equal(conf_read(&base, "config/transformer-125m.yaml", NULL, 0, &start_models), OK);
    assert_int_equal(conf_read(&c, "config/finetune-32k.yaml", NULL, 0, &start_models), OK);
    assert_true(c.train.context == 32768 && c.model.rope_theta == 5e5 && c.train.init_from[0]);
    assert_int_equal(c.train.steps * 5, base.train.steps);  /* a fifth more tokens */
    assert_true(c.train.batch_tokens == base.train.batch_tokens && c.optim.lr == 1e-4);
    conf_dims(&base, &a);
    conf_dims(&c, &b);
    b.rope_theta = a.rope_theta;
    assert_memory_equal(&a, &b, sizeof a);
}

/* A file that nobody added to a list above is read all the same. */
static void every_file_is_valid(void **state)
{
    static const char *const folders[] = { "config", "config/ablation", "config/compare" };
    int yaml = 0;
    (void)state;

    for (int f = 0; f < 3; f++) {
        char **names;
        int count;
        assert_int_equal(dir_list(&names, &count, folders[f]), OK);
        for (int i = 0; i < count; i++) {
            if (!strstr(names[i], ".yaml")) continue;
            char *path = mem_format("%s/%s", folders[f], names[i]);
            assert_true(parameters(path, NULL) > 0);
            mem_free(path);
            yaml++;
        }
        mem_free(names);
    }
    assert_true(yaml >= 29);
}

static void reference_is_current(void **state)
{
    char *printed = NULL, *stored = NULL;
    size_t n = 0, stored_n = 0;
    FILE *out = open_memstream(&printed, &n);
    (void)state;

    assert_non_null(out);
    conf_reference(out);
    fclose(out);
    assert_int_equal(file_slurp(&stored, &stored_n, "config/README.md", 1 << 20), OK);
    if (n != stored_n || memcmp(printed, stored, n))
        fail_msg("run: build/ttt config reference > config/README.md");
    free(printed);
    mem_free(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_the_paper),
        cmocka_unit_test(recipe_of_the_paper),
        cmocka_unit_test(the_ablation_ends_at_ttt_linear),
        cmocka_unit_test(fine_tuning_is_its_base),
        cmocka_unit_test(the_comparison_is_fair),
        cmocka_unit_test(every_file_is_valid),
        cmocka_unit_test(reference_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
