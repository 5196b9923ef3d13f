/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of the public implementation, in and out without changing a bit.  The golden
 * folder was written by Hugging Face's own code. */
#include "tests/unit/store_test.h"

#include "src/base/log.h"
#include "src/base/rng.h"
#include "src/model/model.h"
#include "src/store/hf.h"
#include "src/store/hf_config.h"
#include "src/store/python_json.h"
#include "src/store/safetensors.h"

#define GOLDEN "tests/golden/ttt_linear_m"
#define LLAMA "tests/golden/llama"

static int config_rc(const char *json, struct dims *d)
{
    put_file(at("config.json"), json, strlen(json));
    return hf_read_config(d, work);
}

static void config_of_the_authors(void **state)
{
    (void)state;
    struct dims d;
    assert_int_equal(hf_read_config(&d, GOLDEN), OK);
    assert_string_equal(d.layer, "ttt_linear");
    assert_true(d.V == 256 && d.L == 2 && d.C == 128 && d.H == 2 && d.E == 352 && d.K == 16);
    assert_true(d.gate && d.share_qk && d.pre_conv && d.tied && d.conv_width == 4);
    assert_true(d.rms_eps == 1e-6 && d.rope_theta == 1e4 && d.inner_lr == 1 && d.ln_eps == 1e-6);

    /* What config.json omits has the value of the class. */
    assert_int_equal(config_rc("\xef\xbb\xbf{\"model_type\":\"ttt\"}", &d), OK);  /* with a mark */
    assert_string_equal(d.layer, "ttt_linear");
    assert_true(d.V == 32000 && d.L == 24 && d.C == 2048 && d.H == 32 && d.E == 5504 && d.K == 16);
    assert_true(!d.gate && !d.share_qk && !d.pre_conv && d.tied && d.init_std == 0.02);
}

static void wrong_configs(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "[]", "{", "{}", "{\"vocab_size\":256}",
    };
    static const char *const wrong[] = {
        "{\"vocab_size\":0}", "{\"vocab_size\":-1}", "{\"vocab_size\":\"256\"}",
        "{\"vocab_size\":256.0}", "{\"vocab_size\":4294967296}", "{\"vocab_size\":null}",
        "{\"vocab_size\":256,\"vocab_size\":256}", "{\"use_gate\":1}", "{\"use_gate\":\"true\"}",
        "{\"rms_norm_eps\":0}", "{\"rms_norm_eps\":-1e-6}", "{\"rms_norm_eps\":\"1e-6\"}",
        "{\"rope_theta\":1e999}", "{\"rope_theta\":NaN}", "{\"ttt_layer_type\":\"cubic\"}",
        "{\"rope_theta\":Infinity}", "{\"ttt_base_lr\":-Infinity}", "{\"vocab_size\":NaN}",
        "{\"vocab_size\":NaNa}", "{\"vocab_size\":nan}",
        "{\"ttt_layer_type\":1}", "{\"model_type\":\"gpt2\"}", "{\"model_type\":1}",
        "{\"hidden_act\":\"gelu\"}", "{} {}", "\xff\xfe{}",
    };
    char json[256];
    struct dims d;
    quiet(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (config_rc(bad[i], &d) != ERR_DATA) fail_msg("accepted: %s", bad[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(json, sizeof json, "{\"mini_batch_size\":16,%s", wrong[i] + 1);
        if (config_rc(json, &d) != ERR_DATA) fail_msg("accepted: %s", json);
    }
    assert_int_equal(hf_read_config(&d, at("absent")), ERR_MISSING);
    quiet(0);
}

/* What other programs' models are, each by its own name. */
static void other_models_are_named(void **state)
{
    static const struct { const char *json, *said; } rows[] = {
        { "{\"model_type\":\"mamba2\",\"time_step_limit\":[0.0,\n Infinity]}", "Mamba-2" },
        { "{\"model_type\":\"falcon_mamba\",\"x\":NaN}", "falcon_mamba" },
        { "{\"model_type\":\"gemma\"}", "this program reads ttt" },
        { "{\"d_model\":128,\"n_layer\":2,\"vocab_size\":320,\"ssm_cfg\":{}}",
          "a Mamba model of the package mamba_ssm" },
        { "{\"d_model\":128,\"n_layer\":2,\"ssm_cfg\":{\"layer\":\"Mamba2\"}}",
          "a Mamba-2 model of the package mamba_ssm" },
        { "{\"d_model\":128,\"n_layer\":2,\"vocab_size\":320}", "mamba_ssm" },
        { "{\"model_type\":\"llama\",\"quantization_config\":{\"quant_method\":\"gptq\"}}",
          "quantization_config" },
        { "{\"n_embd\":768,\"n_head\":12}", "no model_type" },
    };
    struct dims d;
    (void)state;

    quiet(1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(config_rc(rows[i].json, &d), ERR_DATA);
        if (!strstr(log_last_error(), rows[i].said))
            fail_msg("%s: %s", rows[i].json, log_last_error());
    }
    quiet(0);
}

/* What means nothing: numbers that Python writes, in keys that nobody reads; no scaling of angles;
 * the angles' frequencies as tensors. */
static void what_means_nothing_is_ignored(void **state)
{
    static const char *const good[] = {
        "{\"model_type\":\"mamba\",\"time_step_limit\":[0.0, Infinity],\"x\":[NaN,-Infinity]}",
        "{\"model_type\":\"llama\",\"note\":\"NaN, \\\"Infinity\\\" \"}",
        "{\"model_type\":\"llama\",\"rope_scaling\":null}",
        "{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":\"default\"}}",
        "{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"default\"}}",
    };
    struct dims d;
    json_t *config = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (config_rc(good[i], &d) != OK) fail_msg("refused: %s", good[i]);
    quiet(1);
    assert_int_equal(config_rc("{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":"
                               "\"yarn\",\"type\":\"default\"}}", &d), ERR_DATA);
    assert_int_equal(config_rc("{\"model_type\":\"llama\",\n\"a\":Infinity,\n\"b\":x}", &d), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "config.json:3:"));
    quiet(0);
    assert_int_equal(config_rc(good[1], &d), OK);
    assert_int_equal(hf_read_json(&config, work), OK);
    assert_string_equal(json_string_value(json_object_get(config, "note")), "NaN, \"Infinity\" ");
    json_decref(config);

    /* Read and written again it is the same text. */
    static const char *const pairs[][2] = {
        { "{\"a\":[0.0,{\"__float__\":\"Infinity\"}],\"b\":{\"__float__\":\"NaN\"}}",
          "{\"a\":[0.0,Infinity],\"b\":NaN}" },
        { "{ \n\"__float__\" : \"-Infinity\" \n}", "-Infinity" },
        { "{\"__float__\":\"big\"}", "{\"__float__\":\"big\"}" },
        { "{\"__float__\":\"NaN\",\"x\":1}", "{\"__float__\":\"NaN\",\"x\":1}" },
        { "[\"Infinity\", {}]", "[\"Infinity\", {}]" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[128];
        strcpy(text, pairs[i][0]);
        python_json_words(text);
        assert_string_equal(text, pairs[i][1]);
    }
}

/* Read the golden folder; the caller releases both. */
static real *golden(struct dims *d, struct param_table *t)
{
    assert_int_equal(hf_read_config(d, GOLDEN), OK);
    *t = (struct param_table){ 0 };
    assert_int_equal(model_layout(t, d), OK);
    real *w = mem_new(t->total, sizeof *w, "test");
    assert_int_equal(hf_read_weights(w, t, GOLDEN), OK);
    return w;
}

static void in_and_out(void **state)
{
    (void)state;
    struct dims d, back;
    struct param_table t;
    json_t *config = NULL, *written = NULL;
    real *w = golden(&d, &t), *v = mem_new(t.total, sizeof *v, "test");

    assert_int_equal(hf_read_json(&config, GOLDEN), OK);
    assert_int_equal(hf_write(at("a/b"), &d, &t, w, config, 0), OK);
    assert_int_equal(hf_read_json(&written, at("a/b")), OK);
    assert_int_equal(hf_read_config(&back, at("a/b")), OK);
    assert_int_equal(hf_read_weights(v, &t, at("a/b")), OK);
    assert_memory_equal(&back, &d, sizeof d);
    assert_memory_equal(v, w, (size_t)t.total * sizeof *w);
#ifndef TTT_F64
    char *ours = NULL, *theirs = NULL;
    size_t n = 0, m = 0;
    /* Defaults that the original omits are written out; nothing else differs. */
    json_object_set_new(config, "tie_word_embeddings", json_true());
    assert_true(json_equal(config, written));
    assert_int_equal(file_slurp(&ours, &n, at("a/b/model.safetensors"), 1 << 24), OK);
    assert_int_equal(file_slurp(&theirs, &m, GOLDEN "/model.safetensors", 1 << 24), OK);
    assert_int_equal(n, m);
    const size_t data = n - (size_t)t.n * sizeof(float);
    assert_memory_equal(ours + data, theirs + data, n - data);
    mem_free(ours);
    mem_free(theirs);
#endif
    /* A folder that holds a model is left alone; one flipped bit is another model. */
    quiet(1);
    assert_int_equal(hf_write(at("a/b"), &d, &t, w, NULL, 0), ERR_USAGE);
    quiet(0);
    ((unsigned char *)w)[5] ^= 1;
    assert_int_equal(hf_write(at("c"), &d, &t, w, NULL, 77), OK);
    assert_int_equal(hf_read_weights(v, &t, at("c")), OK);
    assert_memory_equal(v, w, (size_t)t.total * sizeof *w);
    json_decref(written);
    assert_int_equal(hf_read_json(&written, at("c")), OK);
    assert_int_equal(json_integer_value(json_object_get(written, "max_position_embeddings")), 77);

    json_decref(config);
    json_decref(written);
    param_done(&t);
    mem_free(w);
    mem_free(v);
}

/* The golden tensors as a list that a test may spoil. */
static struct tensor *list_of(int *count, struct safetensors **s)
{
    assert_int_equal(safetensors_open(s, GOLDEN "/model.safetensors"), OK);
    *count = safetensors_count(*s);
    struct tensor *list = mem_new(*count + 1, sizeof *list, "test");
    for (int i = 0; i < *count; i++) {
        list[i] = *safetensors_tensor(*s, i);
        list[i].data = mem_new(tensor_bytes(&list[i]), 1, "test");
        assert_int_equal(safetensors_read(*s, i, list[i].data), OK);
    }
    return list;
}

static int weights_rc(const struct tensor *list, int count)
{
    struct dims d;
    struct param_table t = { 0 };
    assert_int_equal(safetensors_save(at("model.safetensors"), list, count), OK);
    assert_int_equal(hf_read_config(&d, GOLDEN), OK);
    assert_int_equal(model_layout(&t, &d), OK);
    real *w = mem_new(t.total, sizeof *w, "test");
    const int rc = hf_read_weights(w, &t, work);
    mem_free(w);
    param_done(&t);
    return rc;
}

static void wrong_weights(void **state)
{
    (void)state;
    struct safetensors *s = NULL;
    int n = 0;
    struct tensor *list = list_of(&n, &s);
    const int embed = safetensors_find(s, "model.embed_tokens.weight");
    const struct tensor last = list[n - 1], first = list[0];

    assert_int_equal(weights_rc(list, n), OK);
    quiet(1);
    assert_int_equal(weights_rc(list, n - 1), ERR_DATA);            /* one missing   */
    assert_non_null(strstr(log_last_error(), last.name));
    snprintf(list[0].name, TENSOR_NAME, "model.stranger");
    assert_int_equal(weights_rc(list, n), ERR_DATA);                /* and a stranger */
    list[0] = first;
    list[0].shape[0] /= 2;
    list[0].shape[1] *= 2;
    assert_int_equal(weights_rc(list, n), ERR_DATA);                /* another shape */
    assert_non_null(strstr(log_last_error(), first.name));
    list[0] = first;
    list[0].dtype = DT_I32;
    assert_int_equal(weights_rc(list, n), ERR_DATA);                /* not a number  */
    list[0] = first;
    quiet(0);

    /* The tied head may be there, if it is the embedding. */
    list[n] = list[embed];
    snprintf(list[n].name, TENSOR_NAME, "lm_head.weight");
    assert_int_equal(weights_rc(list, n + 1), OK);
    snprintf(list[n].name, TENSOR_NAME, "model.layers.1.self_attn.rotary_emb.inv_freq");
    assert_int_equal(weights_rc(list, n + 1), OK);                  /* everybody computes it */
    list[n].data = mem_new(tensor_bytes(&list[n]), 1, "test");
    quiet(1);
    snprintf(list[n].name, TENSOR_NAME, "model.my_rotary_emb.inv_freq");
    assert_int_equal(weights_rc(list, n + 1), ERR_DATA);
    snprintf(list[n].name, TENSOR_NAME, "lm_head.weight");
    assert_int_equal(weights_rc(list, n + 1), ERR_DATA);
    quiet(0);

    for (int i = 0; i <= n; i++) mem_free(list[i].data);
    mem_free(list);
    safetensors_close(s);
}

/* Half precision on disk becomes exactly those numbers. */
static void half_precision_weights(void **state)
{
    (void)state;
    struct param_table t = { 0 };
    uint16_t brain[35], f16[35];
    real w[128] = { 0 };

    param_add(&t, "", "a", INIT_ZERO, 0, PARAM_SHAPE(5, 7));
    param_add(&t, "", "b", INIT_ZERO, 0, PARAM_SHAPE(5, 7));
    for (int i = 0; i < 35; i++) {
        brain[i] = (uint16_t)(0x3f80 + i);        /* 1 + i / 128  */
        f16[i] = (uint16_t)(0xbc00 + i);         /* -1 - i / 1024 */
    }
    const struct tensor list[] = { { "a", DT_BF16, 2, { 5, 7 }, brain },
                                   { "b", DT_F16, 2, { 5, 7 }, f16 } };
    assert_int_equal(safetensors_save(at("model.safetensors"), list, 2), OK);
    assert_int_equal(hf_read_weights(w, &t, work), OK);
    for (int i = 0; i < 35; i++) {
        assert_true(w[t.p[0].offset + i] == (real)(1 + i / 128.0));
        assert_true(w[t.p[1].offset + i] == (real)(-1 - i / 1024.0));
    }
    param_done(&t);
}

/* What the public code can't express is reported, not lost. */
static void untied_and_unsayable(void **state)
{
    (void)state;
    struct dims d, back;
    struct param_table t = { 0 };

    assert_int_equal(hf_read_config(&d, GOLDEN), OK);
    d.tied = 0;
    d.rms_eps = 1.0 / 3;
    d.gate = 0;
    assert_int_equal(model_layout(&t, &d), OK);
    assert_true(param_find(&t, "lm_head.weight") >= 0);
    real *w = mem_new(t.total, sizeof *w, "test"), *v = mem_new(t.total, sizeof *v, "test");
    for (int k = 0; k < t.count; k++)
        for (int64_t i = 0; i < t.p[k].n; i++)
            w[t.p[k].offset + i] = (real)rng_normal((uint64_t)k, (uint64_t)i);
    assert_int_equal(hf_write(at("untied"), &d, &t, w, NULL, 0), OK);
    assert_int_equal(hf_read_config(&back, at("untied")), OK);
    assert_memory_equal(&back, &d, sizeof d);
    assert_int_equal(hf_read_weights(v, &t, at("untied")), OK);
    assert_memory_equal(v, w, (size_t)t.total * sizeof *w);

    quiet(1);
    d.ln_eps = 1e-5;
    assert_int_equal(hf_write(at("never"), &d, &t, w, NULL, 0), ERR_CONFIG);
    d.ln_eps = 1e-6;
    snprintf(d.layer, sizeof d.layer, "cubic");
    assert_int_equal(hf_write(at("never"), &d, &t, w, NULL, 0), ERR_CONFIG);
    quiet(0);
    assert_false(path_exists(at("never")));
    param_done(&t);
    mem_free(w);
    mem_free(v);
}

/* Scaled angles, as every version writes them, come in, and go out as all read them. */
static void rope_scalings(void **state)
{
    (void)state;
    static const struct { const char *json; int type, original; double factor, low, high; } cases[] = {
        { "\"rope_scaling\":{\"rope_type\":\"default\"}", ROPE_DEFAULT, 0, 0, 0, 0 },
        { "\"rope_parameters\":{\"rope_theta\":10000}", ROPE_DEFAULT, 0, 0, 0, 0 },
        { "\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}", ROPE_LINEAR, 0, 4, 0, 0 },
        { "\"rope_theta\":10000,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4,\"rope_type\":\"linear\"},"
          "\"rope_parameters\":{\"type\":\"linear\",\"factor\":4,\"rope_type\":\"linear\",\"rope_theta\":1e4}",
          ROPE_LINEAR, 0, 4, 0, 0 },
        { "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2.5}", ROPE_LINEAR, 0, 2.5, 0, 0 },
        { "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,"
          "\"high_freq_factor\":4.0,\"original_max_position_embeddings\":8192}",
          ROPE_LLAMA3, 8192, 8, 1, 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dims d, back;
        char json[512];
        snprintf(json, sizeof json, "{\"model_type\":\"llama\",%s}", cases[i].json);
        assert_int_equal(config_rc(json, &d), OK);
        assert_true(d.rope_scaling == cases[i].type && d.rope_original == cases[i].original &&
                    d.rope_factor == cases[i].factor && d.rope_low == cases[i].low &&
                    d.rope_high == cases[i].high && d.rope_theta == 1e4);
        json_t *made = hf_config_make(&d, NULL, 0);
        char *text = json_dumps(made, 0);
        assert_int_equal(config_rc(text, &back), OK);
        assert_memory_equal(&back, &d, sizeof d);
        assert_true(json_is_null(json_object_get(made, "rope_scaling")) == !cases[i].type);
        free(text);
        json_decref(made);
    }
}

/* A model of that type with these keys. */
static int typed_rc(const char *type, const char *keys, struct dims *d)
{
    char json[512];
    snprintf(json, sizeof json, "{\"model_type\":\"%s\"%s%s}", type, *keys ? "," : "", keys);
    return config_rc(json, d);
}

/* Defaults of the classes (transformers 4.57.6), ways to say a window, and what of it comes out. */
static void mistral_and_qwen2(void **state)
{
    (void)state;
    static const struct { const char *type, *keys; int Hkv, F, bias, window, full; } cases[] = {
        { "mistral", "", 8, 0, 0, 4096, 0 },
        { "mistral", "\"num_key_value_heads\":null,\"sliding_window\":null", 32, 0, 0, 0, 0 },
        { "mistral", "\"head_dim\":160,\"sliding_window\":512", 8, 160, 0, 512, 0 },
        { "mistral", "\"head_dim\":null", 8, 0, 0, 4096, 0 },
        { "qwen2", "", 32, 0, 1, 0, 0 },
        { "qwen2", "\"sliding_window\":512,\"head_dim\":64", 32, 64, 1, 0, 0 },
        { "qwen2", "\"use_sliding_window\":true", 32, 0, 1, 4096, 28 },
        { "qwen2", "\"use_sliding_window\":true,\"max_window_layers\":32", 32, 0, 1, 0, 0 },
        { "qwen2", "\"use_sliding_window\":true,\"max_window_layers\":0,\"sliding_window\":77",
          32, 0, 1, 77, 0 },
        { "qwen2", "\"use_sliding_window\":true,\"num_hidden_layers\":2,\"layer_types\":"
          "[\"full_attention\",\"sliding_attention\"]", 32, 0, 1, 4096, 1 },
        { "qwen2", "\"use_sliding_window\":true,\"num_hidden_layers\":1,\"layer_types\":"
          "[\"full_attention\"]", 32, 0, 1, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dims d, back;
        assert_int_equal(typed_rc(cases[i].type, cases[i].keys, &d), OK);
        assert_string_equal(d.layer, "attention");
        assert_true(d.Hkv == cases[i].Hkv && d.F == cases[i].F && d.qkv_bias == cases[i].bias &&
                    d.window == cases[i].window && d.full_layers == cases[i].full && !d.tied);
        assert_true(d.V == (d.qkv_bias ? 151936 : 32000) && d.E == (d.qkv_bias ? 22016 : 14336) &&
                    d.C == 4096 && d.H == 32 && d.rms_eps == 1e-6 && d.rope_theta == 1e4);
        json_t *base = NULL;
        assert_int_equal(hf_read_json(&base, work), OK);
        for (int alone = 0; alone < 2; alone++) {  /* from the file that came, and from dims */
            json_t *made = hf_config_make(&d, alone ? NULL : base, 0);
            char *text = json_dumps(made, 0);
            assert_int_equal(config_rc(text, &back), OK);
            assert_memory_equal(&back, &d, sizeof d);
            free(text);
            json_decref(made);
        }
        json_decref(base);
    }
}

static void mistral_and_qwen2_refused(void **state)
{
    (void)state;
    static const struct { const char *type, *keys, *named; } bad[] = {
        { "mistral", "\"sliding_window\":0", "sliding_window" },
        { "mistral", "\"sliding_window\":\"4096\"", "sliding_window" },
        { "mistral", "\"attention_bias\":true", "attention_bias" },
        { "mistral", "\"hidden_act\":\"gelu\"", "hidden_act" },
        { "mistral", "\"num_hidden_layers\":2,\"layer_types\":[\"full_attention\",\"sliding_attention\"]",
          "layer_types" },
        { "llama", "\"sliding_window\":4096", "sliding_window" },
        { "llama", "\"num_hidden_layers\":1,\"layer_types\":[\"sliding_attention\"]", "layer_types" },
        { "qwen2", "\"use_sliding_window\":1", "use_sliding_window" },
        { "qwen2", "\"use_sliding_window\":true,\"max_window_layers\":-1", "max_window_layers" },
        { "qwen2", "\"use_sliding_window\":true,\"sliding_window\":1.5", "sliding_window" },
        { "qwen2", "\"num_hidden_layers\":2,\"layer_types\":[\"sliding_attention\",\"full_attention\"]",
          "layer_types" },
        { "qwen2", "\"num_hidden_layers\":2,\"layer_types\":[\"full_attention\"]", "layer_types" },
        { "qwen2", "\"mlp_bias\":true", "mlp_bias" },
        { "qwen2", "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}", "yarn" },
        { "qwen2", "\"rope_scaling\":{\"type\":\"mrope\",\"mrope_section\":[16,24,24]}", "mrope" },
        { "qwen3", "", "qwen3" },
        /* written twice: which counts depends on the reader */
        { "llama", "\"rope_scaling\":{\"rope_type\":\"linear\",\"type\":\"dynamic\",\"factor\":2}",
          "rope_scaling.rope_type is \"linear\" and rope_scaling.type is \"dynamic\"" },
        { "llama", "\"rope_theta\":10000.0,\"rope_parameters\":{\"rope_theta\":5e5}",
          "rope_parameters.rope_theta is 500000.0 and rope_theta is 10000.0" },
        { "llama", "\"rope_parameters\":{\"rope_type\":\"default\"},\"rope_scaling\":{\"rope_type\":"
          "\"linear\",\"factor\":2}", "rope_scaling is" },
    };
    struct dims d;
    quiet(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(typed_rc(bad[i].type, bad[i].keys, &d), ERR_DATA);
        assert_non_null(strstr(log_last_error(), bad[i].named));
    }
    quiet(0);
    /* A window in some layers and no bias: nobody's model. */
    assert_int_equal(typed_rc("mistral", "", &d), OK);
    d.full_layers = 3;
    quiet(1);
    assert_int_equal(hf_config_can_write(&d), ERR_CONFIG);
    quiet(0);
}

/* What nobody knows is named, so that nobody takes a model for another; what says nothing is not. */
static void unknown_keys_are_named(void **state)
{
    (void)state;
    static const char *const folders[] = { GOLDEN, LLAMA, "tests/golden/mamba", "tests/golden/ttt_mlp_t",
                                           "tests/golden/qwen2_llama3", "tests/golden/qwen2",
                                           "tests/golden/mistral_full", "tests/golden/llama3_scaling" };
    char text[HF_UNKNOWN];
    json_t *config = NULL;
    struct dims d;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        assert_int_equal(hf_read_json(&config, folders[i]), OK);
        assert_string_equal(hf_config_unknown(text, config), "");
        json_decref(config);
    }
    assert_int_equal(typed_rc("qwen2", "\"use_mrope\":false,\"logit_scale\":1.0,\"pixels\":[],"
                              "\"router_bias\":null,\"value_scale\":2", &d), OK);
    assert_int_equal(hf_read_json(&config, work), OK);
    assert_string_equal(hf_config_unknown(text, config), "value_scale");
    for (int i = 0; i < 40; i++) {  /* many and long: cut, not written past the end */
        char key[200];
        snprintf(key, sizeof key, "%0150d", i);
        json_object_set_new(config, key, json_true());
    }
    assert_true(strlen(hf_config_unknown(text, config)) == HF_UNKNOWN - 1);
    json_decref(config);
}

/* A base of another kind than the model is now has nothing to say. */
static void another_kind_of_base(void **state)
{
    (void)state;
    struct dims d;
    json_t *base = NULL;
    assert_int_equal(typed_rc("llama", "\"attention_dropout\":0.5", &d), OK);
    assert_int_equal(hf_read_json(&base, work), OK);
    d.qkv_bias = 1;
    json_t *made = hf_config_make(&d, base, 0);
    assert_string_equal(json_string_value(json_object_get(made, "model_type")), "qwen2");
    assert_true(json_real_value(json_object_get(made, "attention_dropout")) == 0);
    json_decref(made);
    d.qkv_bias = 0;
    made = hf_config_make(&d, base, 0);
    assert_string_equal(json_string_value(json_object_get(made, "model_type")), "llama");
    assert_true(json_real_value(json_object_get(made, "attention_dropout")) == 0.5);
    json_decref(made);
    json_decref(base);
}

/* A Llama: what its class has as defaults, what this program can't do, in and out. */
static void llamas(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"num_key_value_heads\":0", "\"num_key_value_heads\":1.5", "\"hidden_act\":\"gelu\"",
        "\"attention_bias\":true", "\"mlp_bias\":1", "\"head_dim\":0", "\"head_dim\":\"128\"",
        "\"rope_scaling\":{\"rope_type\":\"llama3\"}", "\"rope_parameters\":{\"rope_theta\":0}",
        "\"rope_parameters\":{\"rope_type\":\"yarn\"}", "\"rope_scaling\":1", "\"rope_scaling\":{}",
        "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}",
        "\"rope_scaling\":{\"type\":\"longrope\",\"factor\":2}",
        "\"rope_scaling\":{\"type\":\"linear\"}", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.5}",
        "\"rope_scaling\":{\"type\":\"linear\",\"factor\":\"2\"}",
        "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"mscale\":1}",
        "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e4}}",
        "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
        "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}",
        "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
        "\"high_freq_factor\":4,\"original_max_position_embeddings\":6.5}",
        "\"attn_logit_softcapping\":30", "\"final_logit_softcapping\":30.0",
        "\"partial_rotary_factor\":0.5", "\"use_qk_norm\":true", "\"no_rope_layers\":[1,0]",
        "\"quantization_config\":{\"bits\":4}", "\"logit_scale\":0.0625",
        "\"rope_parameters\":{\"partial_rotary_factor\":0.5}",
    };
    struct dims d, back;
    struct param_table t = { 0 };
    json_t *config = NULL, *written = NULL;
    char json[256];

    assert_int_equal(config_rc("{\"model_type\":\"llama\",\"head_dim\":128}", &d), OK);
    assert_string_equal(d.layer, "attention");
    assert_true(d.V == 32000 && d.L == 32 && d.C == 4096 && d.H == 32 && d.Hkv == 32 &&
                d.E == 11008 && d.K == 1 && !d.tied && d.rms_eps == 1e-6 && d.rope_theta == 1e4);
    assert_int_equal(config_rc("{\"model_type\":\"llama\",\"num_key_value_heads\":8,"
                               "\"rope_parameters\":{\"rope_theta\":5e5}}", &d), OK);
    assert_true(d.Hkv == 8 && d.rope_theta == 5e5 && d.F == 0);
    assert_int_equal(config_rc("{\"model_type\":\"llama\",\"head_dim\":64}", &d), OK);
    assert_true(d.F == 64 && head_width(&d) == 64);
    quiet(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(json, sizeof json, "{\"model_type\":\"llama\",%s}", bad[i]);
        if (config_rc(json, &d) != ERR_DATA) fail_msg("accepted: %s", json);
        char key[64];  /* and it is named */
        snprintf(key, sizeof key, "%.*s", (int)strcspn(bad[i] + 1, "\""), bad[i] + 1);
        if (!strstr(log_last_error(), key)) fail_msg("%s: %s", bad[i], log_last_error());
    }
    quiet(0);
    /* The same keys where they say "not". */
    assert_int_equal(config_rc("{\"model_type\":\"llama\",\"attention_bias\":null,\"mlp_bias\":false,"
                               "\"attn_logit_softcapping\":null,\"partial_rotary_factor\":1.0,"
                               "\"rope_scaling\":null,\"no_rope_layers\":[],\"logit_scale\":1}", &d), OK);

    assert_int_equal(hf_read_config(&d, LLAMA), OK);
    assert_int_equal(model_layout(&t, &d), OK);
    real *w = mem_new(t.total, sizeof *w, "test"), *v = mem_new(t.total, sizeof *v, "test");
    assert_int_equal(hf_read_weights(w, &t, LLAMA), OK);
    assert_int_equal(hf_read_json(&config, LLAMA), OK);
    assert_int_equal(hf_write(at("llama"), &d, &t, w, config, 0), OK);
    assert_int_equal(hf_read_json(&written, at("llama")), OK);
    assert_int_equal(hf_read_config(&back, at("llama")), OK);
    assert_int_equal(hf_read_weights(v, &t, at("llama")), OK);
    assert_memory_equal(&back, &d, sizeof d);
    assert_memory_equal(v, w, (size_t)t.total * sizeof *w);
    if (sizeof(real) == sizeof(float)) assert_true(json_equal(config, written));
    quiet(1);
    d.pre_conv = 1;
    assert_int_equal(hf_write(at("never"), &d, &t, w, NULL, 0), ERR_CONFIG);
    quiet(0);
    json_decref(config);
    json_decref(written);
    param_done(&t);
    mem_free(w);
    mem_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llamas), cmocka_unit_test(rope_scalings),
        cmocka_unit_test(other_models_are_named),
        cmocka_unit_test(what_means_nothing_is_ignored),
        cmocka_unit_test(mistral_and_qwen2),     cmocka_unit_test(mistral_and_qwen2_refused),
        cmocka_unit_test(another_kind_of_base),  cmocka_unit_test(unknown_keys_are_named),
        cmocka_unit_test(config_of_the_authors), cmocka_unit_test(wrong_configs),
        cmocka_unit_test(in_and_out),            cmocka_unit_test(wrong_weights),
        cmocka_unit_test(half_precision_weights), cmocka_unit_test(untied_and_unsayable),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
