/* SPDX-License-Identifier: Apache-2.0 */
/* A run that starts from a model is that model: what is not given comes from it, what is given and
 * differs is named, and is changed only where that is asked for. */
#include "tests/unit/store_test.h"

#include "src/base/log.h"
#include "src/conf/conf_model.h"
#include "src/conf/conf_table.h"
#include "src/infer/start_model.h"
#include "src/layers/dims_table.h"
#include "src/store/ckpt.h"
#include "src/store/dims_json.h"

#include "tests/unit/said.h"

/* No value is a default. */
static const struct dims models[] = {
    { .layer = "ttt_mlp", .V = 300, .L = 3, .C = 48, .H = 4, .E = 40, .K = 8, .Hkv = 4,
      .conv_width = 3, .gate = 1, .share_qk = 1, .pre_conv = 1, .rope_theta = 123.5,
      .rms_eps = 3e-5, .ln_eps = 1.0 / 3e6, .init_std = 0.07, .inner_lr = 0.3,
      .without = WITHOUT_TOKEN_IDX | WITHOUT_RESIDUAL },
    { .layer = "ttt_linear", .V = 301, .L = 2, .C = 32, .H = 2, .E = 24, .K = 4, .Hkv = 2,
      .conv_width = 4, .pre_conv = 1, .tied = 1, .rope_theta = 5e5, .rms_eps = 1e-5,
      .ln_eps = 1e-6, .init_std = 0.02, .inner_lr = 1 },
    { .layer = "attention", .V = 302, .L = 1, .C = 64, .H = 4, .E = 72, .K = 1, .Hkv = 2,
      .conv_width = 4, .rope_theta = 5e5, .rms_eps = 1e-5, .ln_eps = 1e-6, .init_std = 0.02,
      .inner_lr = 1 },
    { .layer = "mamba", .V = 303, .L = 2, .C = 32, .H = 1, .K = 1, .conv_width = 3, .tied = 1,
      .rope_theta = 1e4, .rms_eps = 2e-5, .ln_eps = 1e-6, .init_std = 0.1, .inner_lr = 1,
      .state = 5, .expand = 3, .dt_rank = 7 },
    { .layer = "attention", .V = 302, .L = 3, .C = 60, .H = 4, .E = 72, .K = 1, .Hkv = 2, .F = 22,
      .qkv_bias = 1, .conv_width = 4, .rope_theta = 5e5, .rms_eps = 1e-5, .ln_eps = 1e-6,
      .init_std = 0.02, .inner_lr = 1, .window = 4096, .full_layers = 1,
      .rope_scaling = ROPE_LLAMA3, .rope_original = 512, .rope_factor = 8.5, .rope_low = 1.25,
      .rope_high = 3.5 },
};
#define MODELS (int)(sizeof models / sizeof *models)

/* A checkpoint in `dir` that says it holds such a model; no weights are looked at here. */
static void make_model(const char *dir, const struct dims *d)
{
    struct ckpt_meta meta = { .step = 1, .scalars = json_object(), .info = json_object() };
    const struct ckpt_opts opts = { .level = 1 };
    const struct tensor none = { .name = "none", .dtype = DT_REAL, .ndim = 1 };
    struct hash root;

    json_object_set_new(meta.info, "model", dims_json(d));
    assert_int_equal(dir_make(dir), OK);
    assert_int_equal(ckpt_save(dir, &none, 1, &meta, &opts, &root), OK);
    json_decref(meta.scalars);
    json_decref(meta.info);
}

static const char *name_of(int i)
{
    static const char *const names[] = { "m0", "m1", "m2", "m3", "m4" };
    return at(names[i]);
}

static int make_models(void **state)
{
    if (work_make(state) != 0) return -1;
    for (int i = 0; i < MODELS; i++) make_model(name_of(i), &models[i]);
    return 0;
}

/* Read a configuration that starts from model i; its messages are in `said`. */
static int start_from(struct conf *c, int i, const char *a, const char *b)
{
    static const char text[] = "data: {train: d}\n";
    char from[600], dir[600], one[100], two[100];
    char *sets[4] = { from, dir, one, two };
    int n = 2;

    snprintf(from, sizeof from, "train.init_from=%s", name_of(i));
    snprintf(dir, sizeof dir, "run.dir=%s", at("run"));
    if (a) snprintf(sets[n++], sizeof one, "%s", a);
    if (b) snprintf(sets[n++], sizeof two, "%s", b);
    hear(1);
    const int rc = conf_parse(c, text, strlen(text), "t.yaml", sets, n, &start_models);
    hear(0);
    return rc;
}

/* Whatever is in struct dims can be taken from a model, and comes to the run's dims. */
static void no_field_is_without_a_row(void **state)
{
    unsigned char seen[sizeof(struct dims)] = { 0 };
    const struct dim *row;
    const size_t hole = offsetof(struct dims, orthogonal) + sizeof(int);
    (void)state;

    memset(seen + hole, 1, offsetof(struct dims, inner_lr) - hole);  /* between an int and a double */
    for (int i = 0; (row = dims_row(i)); i++) memset(seen + row->at, 1, row->size);
    for (size_t i = 0; i < sizeof seen; i++)
        if (!seen[i]) fail_msg("byte %zu of struct dims is in no row of dims_table.c", i);
}

/* And it comes through a checkpoint, but for how initial weights are made. */
static void no_field_is_lost_in_a_checkpoint(void **state)
{
    struct dims d = { .layer = "attention" }, back;
    json_t *info = json_object();
    const struct dim *row;
    (void)state;

    for (int i = 1; (row = dims_row(i)); i++) {
        const size_t at_byte = row->at, size = row->size;
        if (size == sizeof(int)) *(int *)((char *)&d + at_byte) = 1000 + (int)at_byte;
        else *(double *)((char *)&d + at_byte) = 1.0 / (double)at_byte;
    }
    json_object_set_new(info, "model", dims_json(&d));
    assert_int_equal(dims_of_info(&back, info, "info"), OK);
    back.orthogonal = d.orthogonal;
    for (int i = 0; (row = dims_row(i)); i++)
        assert_memory_equal(dims_get(&d, row), dims_get(&back, row), row->size);
    json_decref(info);
}

static void what_is_not_given_is_the_models(void **state)
{
    static struct conf c, again;
    struct dims d;
    (void)state;

    for (int i = 0; i < MODELS; i++) {
        struct dims want = models[i];
        assert_int_equal(start_from(&c, i, NULL, NULL), OK);
        conf_dims(&c, &d);
        if (!strcmp(want.layer, "mamba")) want.Hkv = 0;
        assert_string_equal(d.layer, want.layer);
        assert_true(d.V == want.V && d.L == want.L && d.C == want.C && d.H == want.H &&
                    d.E == want.E && d.K == want.K && d.Hkv == want.Hkv && d.gate == want.gate &&
                    d.share_qk == want.share_qk && d.pre_conv == want.pre_conv &&
                    d.tied == want.tied && d.without == want.without && d.state == want.state &&
                    d.expand == want.expand && d.dt_rank == want.dt_rank);
        assert_true(d.rope_theta == want.rope_theta && d.rms_eps == want.rms_eps &&
                    d.ln_eps == want.ln_eps && d.init_std == want.init_std &&
                    d.inner_lr == want.inner_lr && d.conv_width == want.conv_width);
        assert_true(d.F == want.F && d.qkv_bias == want.qkv_bias && d.window == want.window &&
                    d.full_layers == want.full_layers && d.rope_scaling == want.rope_scaling &&
                    d.rope_original == want.rope_original && d.rope_factor == want.rope_factor &&
                    d.rope_low == want.rope_low && d.rope_high == want.rope_high);
        assert_int_equal(conf_is_model(&c, &models[i], "m"), OK);
        assert_non_null(strstr(c.start.taken, "rms_eps"));

        /* What the run stores says it all: nobody has to look again. */
        char *text = conf_text(&c);
        assert_int_equal(conf_parse_stored(&again, text, "stored"), OK);
        conf_dims(&again, &want);
        assert_memory_equal(&d, &want, sizeof d);
        mem_free(text);
    }
}

/* Given values that differ: key, both values and place; and what a change needs. */
static void what_differs_is_named(void **state)
{
    static const struct { int model; const char *set, *says, *change; } rows[] = {
        { 2, "model.rope_theta=10000", "model.rope_theta: expected 500000", "model.rope_theta" },
        { 2, "model.rms_eps=1e-6", "model.rms_eps: expected 1e-05", "model.rms_eps" },
        { 2, "model.heads=2", "model.heads: expected 4", "model.heads" },
        { 2, "model.kv_heads=4", "model.kv_heads: expected 2", NULL },
        { 2, "model.tied=true", "model.tied: expected false", NULL },
        { 2, "model.layer=mamba", "model.layer: expected attention", NULL },
        { 2, "model.vocab=303", "model.vocab: expected 302", NULL },
        { 2, "model.ffn_width=64", "model.ffn_width: expected 72", NULL },
        { 0, "model.rope_theta=10000", "model.rope_theta: expected 123.5", "model.rope_theta" },
        { 0, "model.inner_lr=1", "model.inner_lr: expected 0.3", "model.inner_lr" },
        { 0, "model.ln_eps=1e-6", "model.ln_eps: expected 3.3333333333333335e-07", "model.ln_eps" },
        { 0, "model.mini_batch=16", "model.mini_batch: expected 8", "model.mini_batch" },
        { 0, "model.inner_residual=true", "model.inner_residual: expected false",
          "model.inner_residual" },
        { 0, "model.inner_mean=false", "model.inner_mean: expected true", "model.inner_mean" },
        { 0, "model.learn_token_idx=true", "model.learn_token_idx: expected false", NULL },
        { 0, "model.backbone=transformer", "model.gate: expected true", NULL },
        { 0, "model.heads=2", "model.heads: expected 4", NULL },
        { 0, "model.conv_width=4", "model.conv_width: expected 3", NULL },
        { 1, "model.mini_batch=16", "model.mini_batch: expected 4", NULL },
        { 1, "model.pre_conv=false", "model.pre_conv: expected true", NULL },
        { 1, "model.rms_eps=1e-6", "model.rms_eps: expected 1e-05", "model.rms_eps" },
        { 3, "model.rms_eps=1e-5", "model.rms_eps: expected 2e-05", "model.rms_eps" },
        { 3, "model.state=16", "model.state: expected 5", NULL },
        { 3, "model.dt_rank=2", "model.dt_rank: expected 7", NULL },
        { 3, "model.width=64", "model.width: expected 32", NULL },
        { 2, "model.head_dim=8", "model.head_dim: expected 16", NULL },
        { 2, "model.qkv_bias=true", "model.qkv_bias: expected false", NULL },
        { 2, "model.sliding_window=2048", "model.sliding_window: expected 0", "model.sliding_window" },
        { 2, "model.rope_scaling.type=linear", "model.rope_scaling.type: expected default",
          "model.rope_scaling.type" },
        { 4, "model.head_dim=16", "model.head_dim: expected 22", NULL },
        { 4, "model.qkv_bias=false", "model.qkv_bias: expected true", NULL },
        { 4, "model.sliding_window=0", "model.sliding_window: expected 4096", "model.sliding_window" },
        { 4, "model.full_layers=2", "model.full_layers: expected 1", "model.full_layers" },
        { 4, "model.rope_scaling.factor=8", "model.rope_scaling.factor: expected 8.5",
          "model.rope_scaling.factor" },
        { 4, "model.rope_scaling.type=linear", "model.rope_scaling.type: expected llama3",
          "model.rope_scaling.type" },
        { 4, "model.rope_scaling.original_context=64",
          "model.rope_scaling.original_context: expected 512", "model.rope_scaling.original_context" },
    };
    static struct conf c;
    char change[100];
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(start_from(&c, rows[i].model, rows[i].set, NULL), ERR_CONFIG);
        const char *value = strchr(rows[i].set, '=') + 1;
        if (!strstr(said, rows[i].says) || !strstr(said, "--set:3:") || !strstr(said, at("m")))
            fail_msg("'%s' is missing in\n%s", rows[i].says, said);
        if (strncmp(rows[i].set, "model.backbone", 14) != 0 && !strchr(value, '-') &&
            !strstr(said, value))
            fail_msg("%s: its value is not said:\n%s", rows[i].set, said);
        if (!rows[i].change != !strstr(said, "train.init_change"))
            fail_msg("%s: wrong advice:\n%s", rows[i].set, said);
        snprintf(change, sizeof change, "train.init_change=%.*s",
                 (int)strcspn(rows[i].set, "="), rows[i].set);
        const int rc = start_from(&c, rows[i].model, rows[i].set, change);
        if (rc != (rows[i].change ? OK : ERR_CONFIG)) fail_msg("%s: %d\n%s", change, rc, said);
        if (!rows[i].change) continue;
        assert_non_null(strstr(c.start.changed, rows[i].change + strlen("model.")));
        assert_int_equal(conf_is_model(&c, &models[rows[i].model], "m"), OK);
        c.train.init_change[0] = '\0';
        hear(1);
        assert_int_equal(conf_is_model(&c, &models[rows[i].model], "m"), ERR_CONFIG);
        hear(0);
        assert_non_null(strstr(said, rows[i].change));
    }
}

/* What says nothing about a model of its kind, and what is written as it is, are no differences. */
static void what_does_not_matter_is_free(void **state)
{
    static const struct { int model; const char *set; } rows[] = {
        { 3, "model.rope_theta=5" }, { 3, "model.heads=2" }, { 3, "model.inner_lr=0.5" },
        { 2, "model.inner_lr=0.5" }, { 2, "model.mini_batch=4" }, { 2, "model.state=4" },
        { 2, "model.conv_width=9" }, { 2, "model.init_std=0.5" }, { 0, "model.init=orthogonal" },
        { 0, "model.rms_eps=0.00003" }, { 0, "model.backbone=mamba" }, { 2, "model.rms_eps=auto" },
        { 2, "model.kv_heads=auto" },
        { 2, "model.head_dim=16" }, { 4, "model.head_dim=auto" }, { 4, "model.head_dim=22" },
        { 4, "model.rope_scaling.type=llama3" }, { 2, "model.full_layers=7" },
        { 2, "model.rope_scaling.low_freq_factor=2" }, { 1, "model.gate=false" },
    };
    static struct conf c;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (start_from(&c, rows[i].model, rows[i].set, NULL) != OK)
            fail_msg("%s: %s", rows[i].set, said);
    assert_int_equal(start_from(&c, 1, NULL, NULL), OK);
    assert_int_equal(c.model.backbone, BACKBONE_TRANSFORMER);  /* a convolution, no gate */
    assert_true(c.model.pre_conv == 1 && c.model.gate == 0);
}

static void changes_must_mean_something(void **state)
{
    static struct conf c;
    (void)state;

    assert_int_equal(start_from(&c, 2, "train.init_change=model.rope_theta", NULL), ERR_CONFIG);
    assert_non_null(strstr(said, "--set:3:19: train.init_change: expected keys that are given"));
    assert_int_equal(start_from(&c, 2, "train.init_change=model.ropetheta", NULL), ERR_CONFIG);
    assert_non_null(strstr(said, "did you mean model.rope_theta?"));
    assert_int_equal(start_from(&c, 2, "train.init_change=optim.lr", "optim.lr=1"), ERR_CONFIG);
}

/* A run with checkpoints is its own model: the one that it started from may be gone, or be another
 * by then.  What is given is conf_diff()'s matter. */
static void a_run_goes_on_as_itself(void **state)
{
    static struct conf c;
    struct dims own = models[2];
    (void)state;

    own.rope_theta = 77;
    make_model(at("run/ckpt"), &own);
    assert_int_equal(start_from(&c, 2, NULL, NULL), OK);
    assert_true(c.model.rope_theta == 77 && c.model.rms_eps == 1e-5);
    assert_int_equal(start_from(&c, 2, "train.init_from=nowhere", "model.rope_theta=5e5"), OK);
    assert_true(c.model.rope_theta == 5e5 && c.model.width == 64 && !c.start.missing);

    char *command = mem_format("rm -rf '%s'", at("run"));
    assert_int_equal(system(command), 0);
    mem_free(command);
}

/* Not there is known, not an error of the file; there and wrong is. */
static void models_that_can_not_be_read(void **state)
{
    static const char mamba2[] = "{\"model_type\": \"mamba2\"}";
    static struct conf c;
    char set[600];
    (void)state;

    assert_int_equal(start_from(&c, 0, "train.init_from=nowhere", NULL), OK);
    assert_int_equal(c.start.missing, 1);
    assert_int_equal(dir_make(at("bad")), OK);
    put_file(at("bad/config.json"), mamba2, strlen(mamba2));
    snprintf(set, sizeof set, "train.init_from=%s", at("bad"));
    assert_int_equal(start_from(&c, 0, set, NULL), ERR_DATA);
    assert_non_null(strstr(said, "mamba2"));
    assert_non_null(strstr(said, "train.init_from"));

    struct dims d = models[2];
    d.rope_theta = 0.5;  /* no configuration can say that */
    make_model(at("odd"), &d);
    snprintf(set, sizeof set, "train.init_from=%s", at("odd"));
    assert_int_equal(start_from(&c, 0, set, NULL), ERR_CONFIG);
    assert_non_null(strstr(said, "model.rope_theta"));

    d = models[4];
    d.H = d.F = 0;  /* nobody divides by it */
    d.rope_scaling = 77;
    make_model(at("forged"), &d);
    snprintf(set, sizeof set, "train.init_from=%s", at("forged"));
    assert_int_equal(start_from(&c, 0, set, NULL), ERR_CONFIG);
    assert_non_null(strstr(said, "model.rope_scaling.type: expected a value of this key"));
    assert_non_null(strstr(said, "has 77"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_field_is_without_a_row),
        cmocka_unit_test(no_field_is_lost_in_a_checkpoint),
        cmocka_unit_test(what_is_not_given_is_the_models),
        cmocka_unit_test(what_differs_is_named),
        cmocka_unit_test(what_does_not_matter_is_free),
        cmocka_unit_test(changes_must_mean_something),
        cmocka_unit_test(a_run_goes_on_as_itself),
        cmocka_unit_test(models_that_can_not_be_read),
    };
    return cmocka_run_group_tests(tests, make_models, work_remove);
}
