/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/hf_config.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/layers/pattern.h"
#include "src/store/hf_llama.h"

#define LN_EPS 1e-6  /* fixed in the public code, so config.json has no key for it */
#define DEFAULT_CONTEXT 2048

/* MAYBE: a COUNT that may be null or "auto", stored as 0. */
enum kind { COUNT, MAYBE, SWITCH, POSITIVE };

struct key {
    const char *key;
    enum kind   kind;
    size_t      at;       /* in struct dims */
    double      def;
};
#define AT(field) offsetof(struct dims, field)

/* TTTConfig with the defaults of that class (ttt-lm-pytorch cd831db, ttt.py:88-170). */
static const struct key ttt_keys[] = {
    { "vocab_size", COUNT, AT(V), 32000 },
    { "hidden_size", COUNT, AT(C), 2048 },
    { "intermediate_size", COUNT, AT(E), 5504 },
    { "num_hidden_layers", COUNT, AT(L), 24 },
    { "num_attention_heads", COUNT, AT(H), 32 },
    { "mini_batch_size", COUNT, AT(K), 16 },
    { "conv_kernel", COUNT, AT(conv_width), 4 },
    { "use_gate", SWITCH, AT(gate), 0 },
    { "share_qk", SWITCH, AT(share_qk), 0 },
    { "pre_conv", SWITCH, AT(pre_conv), 0 },
    { "tie_word_embeddings", SWITCH, AT(tied), 1 },
    { "rms_norm_eps", POSITIVE, AT(rms_eps), 1e-6 },
    { "rope_theta", POSITIVE, AT(rope_theta), 10000 },
    { "ttt_base_lr", POSITIVE, AT(inner_lr), 1 },
    { "initializer_range", POSITIVE, AT(init_std), 0.02 },
    { NULL, COUNT, 0, 0 },
};

/* LlamaConfig (transformers 4.57.6, configuration_llama.py). */
static const struct key llama_keys[] = {
    { "vocab_size", COUNT, AT(V), 32000 },
    { "hidden_size", COUNT, AT(C), 4096 },
    { "intermediate_size", COUNT, AT(E), 11008 },
    { "num_hidden_layers", COUNT, AT(L), 32 },
    { "num_attention_heads", COUNT, AT(H), 32 },
    { "num_key_value_heads", MAYBE, AT(Hkv), 0 },
    { "head_dim", MAYBE, AT(F), 0 },
    { "tie_word_embeddings", SWITCH, AT(tied), 0 },
    { "rms_norm_eps", POSITIVE, AT(rms_eps), 1e-6 },
    { "rope_theta", POSITIVE, AT(rope_theta), 10000 },
    { "initializer_range", POSITIVE, AT(init_std), 0.02 },
    { NULL, COUNT, 0, 0 },
};

/* MistralConfig (configuration_mistral.py); groups and window are read in hf_llama.c. */
static const struct key mistral_keys[] = {
    { "vocab_size", COUNT, AT(V), 32000 },
    { "hidden_size", COUNT, AT(C), 4096 },
    { "intermediate_size", COUNT, AT(E), 14336 },
    { "num_hidden_layers", COUNT, AT(L), 32 },
    { "num_attention_heads", COUNT, AT(H), 32 },
    { "num_key_value_heads", MAYBE, AT(Hkv), 0 },
    { "head_dim", MAYBE, AT(F), 0 },
    { "tie_word_embeddings", SWITCH, AT(tied), 0 },
    { "rms_norm_eps", POSITIVE, AT(rms_eps), 1e-6 },
    { "rope_theta", POSITIVE, AT(rope_theta), 10000 },
    { "initializer_range", POSITIVE, AT(init_std), 0.02 },
    { NULL, COUNT, 0, 0 },
};

/* Qwen2Config (configuration_qwen2.py); likewise. */
static const struct key qwen2_keys[] = {
    { "vocab_size", COUNT, AT(V), 151936 },
    { "hidden_size", COUNT, AT(C), 4096 },
    { "intermediate_size", COUNT, AT(E), 22016 },
    { "num_hidden_layers", COUNT, AT(L), 32 },
    { "num_attention_heads", COUNT, AT(H), 32 },
    { "num_key_value_heads", MAYBE, AT(Hkv), 0 },
    { "head_dim", MAYBE, AT(F), 0 },
    { "tie_word_embeddings", SWITCH, AT(tied), 0 },
    { "rms_norm_eps", POSITIVE, AT(rms_eps), 1e-6 },
    { "rope_theta", POSITIVE, AT(rope_theta), 10000 },
    { "initializer_range", POSITIVE, AT(init_std), 0.02 },
    { NULL, COUNT, 0, 0 },
};

/* MambaConfig (transformers 4.57.6, configuration_mamba.py). */
static const struct key mamba_keys[] = {
    { "vocab_size", COUNT, AT(V), 50280 },
    { "hidden_size", COUNT, AT(C), 768 },
    { "num_hidden_layers", COUNT, AT(L), 32 },
    { "state_size", COUNT, AT(state), 16 },
    { "expand", COUNT, AT(expand), 2 },
    { "time_step_rank", MAYBE, AT(dt_rank), 0 },
    { "conv_kernel", COUNT, AT(conv_width), 4 },
    { "tie_word_embeddings", SWITCH, AT(tied), 1 },
    { "layer_norm_epsilon", POSITIVE, AT(rms_eps), 1e-5 },
    { "initializer_range", POSITIVE, AT(init_std), 0.1 },
    { NULL, COUNT, 0, 0 },
};

/* --- what rows of keys can't say ---------------------------------------------- */

static int is_text(const json_t *v, const char *text)
{
    return json_is_string(v) && !strcmp(json_string_value(v), text);
}

/* A key must have this value if it is there at all. */
static int must_be(const json_t *config, const char *key, const char *value, const char *path)
{
    const json_t *v = json_object_get(config, key);
    if (!v || is_text(v, value)) return OK;
    return fail(ERR_DATA, "%s: %s must be \"%s\" for this program", path, key, value);
}

static int must_be_on(const json_t *config, const char *key, const char *path)
{
    const json_t *v = json_object_get(config, key);
    if (!v || json_is_true(v)) return OK;
    return fail(ERR_DATA, "%s: %s must be true for this program", path, key);
}

static int must_be_off(const json_t *config, const char *key, const char *path)
{
    const json_t *v = json_object_get(config, key);
    if (!v || json_is_false(v) || json_is_null(v)) return OK;
    return fail(ERR_DATA, "%s: %s must be false or null for this program", path, key);
}

/* What ttt_layer_type says, and what the layer is called here. */
static const struct { const char *theirs, *ours; } ttt_layers[] = {
    { "linear", "ttt_linear" }, { "mlp", "ttt_mlp" },
};
#define TTT_LAYERS (sizeof ttt_layers / sizeof *ttt_layers)

static int ttt_read(struct dims *d, const json_t *config, const char *path)
{
    const json_t *layer = json_object_get(config, "ttt_layer_type");
    const char *type = layer ? json_string_value(layer) : "linear";

    d->Hkv = d->H;
    for (size_t i = 0; i < TTT_LAYERS; i++)
        if (type && !strcmp(type, ttt_layers[i].theirs))
            snprintf(d->layer, sizeof d->layer, "%s", ttt_layers[i].ours);
    if (*d->layer) return must_be(config, "hidden_act", "silu", path);
    return fail(ERR_DATA, "%s: ttt_layer_type must be \"linear\" or \"mlp\"", path);
}

static void ttt_make(json_t *config, const struct dims *d)
{
    for (size_t i = 0; i < TTT_LAYERS; i++)
        if (!strcmp(d->layer, ttt_layers[i].ours))
            json_object_set_new(config, "ttt_layer_type", json_string(ttt_layers[i].theirs));
}

static int mamba_read(struct dims *d, const json_t *config, const char *path)
{
    const json_t *inner = json_object_get(config, "intermediate_size");
    int rc = must_be(config, "hidden_act", "silu", path);

    snprintf(d->layer, sizeof d->layer, "mamba");
    if (!d->dt_rank) d->dt_rank = (int)(((int64_t)d->C + 15) / 16);
    if (must_be_off(config, "use_bias", path) != OK) rc = ERR_DATA;
    if (must_be_on(config, "use_conv_bias", path) != OK) rc = ERR_DATA;
    if (inner && json_integer_value(inner) != (json_int_t)d->expand * d->C)
        rc = fail(ERR_DATA, "%s: intermediate_size must be expand * hidden_size for this program",
                  path);
    return rc;
}

static void mamba_make(json_t *config, const struct dims *d)
{
    json_object_set_new(config, "intermediate_size", json_integer((json_int_t)d->expand * d->C));
    json_object_del(config, "max_position_embeddings");  /* there is no limit */
}

/* --- families ------------------------------------------------------------------ */

static const struct {
    const char          *type;      /* model_type                                     */
    const struct family *family;
    const char          *architecture;
    const struct key    *keys;
    const char          *others;    /* JSON of other keys that new files have         */
    int  (*read)(struct dims *d, const json_t *config, const char *path);
    void (*make)(json_t *config, const struct dims *d);
    int  (*fits)(const struct dims *d);  /* is it of this kind?  NULL: what has its family is */
} kinds[] = {
    { "ttt", &family_ttt, "TTTForCausalLM", ttt_keys,
      "{\"bos_token_id\": 1, \"eos_token_id\": 2, \"hidden_act\": \"silu\", \"pretraining_tp\": 1,"
      " \"scan_checkpoint_group_size\": 0, \"use_cache\": false}", ttt_read, ttt_make, NULL },
    { "llama", &family_llama, "LlamaForCausalLM", llama_keys,
      "{\"attention_bias\": false, \"attention_dropout\": 0.0, \"bos_token_id\": 1,"
      " \"eos_token_id\": 2, \"hidden_act\": \"silu\", \"mlp_bias\": false, \"pretraining_tp\": 1,"
      " \"rope_scaling\": null, \"use_cache\": true}", hf_llama_read, hf_llama_make,
      hf_llama_fits },
    { "mistral", &family_llama, "MistralForCausalLM", mistral_keys,
      "{\"attention_dropout\": 0.0, \"bos_token_id\": 1, \"eos_token_id\": 2, \"hidden_act\": \"silu\","
      " \"use_cache\": true}", hf_mistral_read, hf_mistral_make, hf_mistral_fits },
    { "qwen2", &family_llama, "Qwen2ForCausalLM", qwen2_keys,
      "{\"attention_dropout\": 0.0, \"hidden_act\": \"silu\", \"use_cache\": true}", hf_qwen2_read,
      hf_qwen2_make, hf_qwen2_fits },
    { "mamba", &family_mamba, "MambaForCausalLM", mamba_keys,
      "{\"bos_token_id\": 0, \"eos_token_id\": 0, \"hidden_act\": \"silu\", \"pad_token_id\": 0,"
      " \"rescale_prenorm_residual\": false, \"residual_in_fp32\": true,"
      " \"time_step_floor\": 0.0001, \"time_step_init_scheme\": \"random\","
      " \"time_step_max\": 0.1, \"time_step_min\": 0.001, \"time_step_scale\": 1.0,"
      " \"use_bias\": false, \"use_cache\": true, \"use_conv_bias\": true,"
      " \"use_mambapy\": false}", mamba_read, mamba_make, NULL },
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* --- reading --------------------------------------------------------------------- */

/* One key -> dims.  returns NULL, or what was expected instead. */
static const char *read_key(struct dims *d, const struct key *k, const json_t *v)
{
    void *to = (char *)d + k->at;
    const json_int_t n = json_integer_value(v);
    const double x = json_number_value(v);

    switch (k->kind) {
    case MAYBE:
        if (json_is_null(v) || is_text(v, "auto")) v = NULL;
        /* fall through */
    case COUNT:
        *(int *)to = v ? (int)n : (int)k->def;
        return !v || (json_is_integer(v) && n >= 1 && n <= INT_MAX) ? NULL : "an integer >= 1";
    case SWITCH:
        *(int *)to = v ? json_is_true(v) : (int)k->def;
        return !v || json_is_boolean(v) ? NULL : "true or false";
    case POSITIVE:
        *(double *)to = v ? x : k->def;
        return !v || (json_is_number(v) && x > 0 && isfinite(x)) ? NULL : "a number > 0";
    }
    return NULL;
}

/* Without model_type: an object with keys that only TTT's class has. */
static int is_old_ttt(const json_t *config)
{
    static const char *const only[] = { "ttt_layer_type", "ttt_base_lr", "mini_batch_size" };
    for (int i = 0; i < 3; i++)
        if (json_object_get(config, only[i])) return 1;
    return 0;
}

static int unknown_kind(const json_t *config, const char *path)
{
    const json_t *ssm = json_object_get(config, "ssm_cfg");
    const char *name = json_string_value(json_object_get(config, "model_type"));
    const int second = is_text(json_object_get(ssm, "layer"), "Mamba2");
    char known[128] = "";

    for (size_t i = 0; i < KINDS; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i == 0 ? "" : i + 1 < KINDS ? ", " : " and ", kinds[i].type);
    if (name)
        return fail(ERR_DATA, "%s: model_type is %.40s%s; this program reads %s", path, name,
                    !strcmp(name, "mamba2") ? " (Mamba-2, which is not read yet)" : "", known);
    if (ssm || (json_object_get(config, "d_model") && json_object_get(config, "n_layer")))
        return fail(ERR_DATA, "%s: a %s model of the package mamba_ssm, whose names are others%s", path,
                    second ? "Mamba-2" : "Mamba", second ? ", and Mamba-2 is not read yet"
                    : "; convert it with convert_mamba_ssm_checkpoint_to_pytorch.py of transformers, "
                      "or take the model of the same name that ends in -hf");
    return fail(ERR_DATA, "%s: it has no model_type; expected %s", path, known);
}

static int kind_of(size_t *kind, const json_t *config, const char *path)
{
    const json_t *type = json_object_get(config, "model_type");
    const char *name = type ? json_string_value(type) : is_old_ttt(config) ? kinds[0].type : NULL;

    for (*kind = 0; *kind < KINDS; ++*kind)
        if (name && !strcmp(name, kinds[*kind].type)) return OK;
    return unknown_kind(config, path);
}

/* Keys of every kind, or of several, that no row has: read elsewhere, or without a meaning for what
 * is computed. */
static int is_common(const char *key)
{
    static const char *const common[] = {
        "_name_or_path", "architectures", "attention_dropout", "auto_map", "bos_token_id", "dtype",
        "eos_token_id", "hidden_act", "max_position_embeddings", "model_type", "pad_token_id",
        "pretraining_tp", "tokenizer_class", "torch_dtype", "transformers_version", "use_cache",
    };
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (!strcmp(key, common[i])) return 1;
    return 0;
}

static int is_known(size_t kind, const json_t *others, const char *key)
{
    for (const struct key *k = kinds[kind].keys; k->key; k++)
        if (!strcmp(key, k->key)) return 1;
    if (is_common(key) || json_object_get(others, key)) return 1;
    if (kinds[kind].read == ttt_read) return !strcmp(key, "ttt_layer_type");
    if (kinds[kind].read == mamba_read) return !strcmp(key, "intermediate_size");
    return hf_llama_knows(key);
}

static int is_empty_value(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_array(v) && !json_array_size(v)) ||
           (json_is_object(v) && !json_object_size(v));
}

const char *hf_config_unknown(char text[HF_UNKNOWN], const json_t *config)
{
    json_t *others = NULL, *v;
    const char *key;
    size_t kind;

    text[0] = '\0';
    if (kind_of(&kind, config, "config.json") != OK) return text;
    others = json_loads(kinds[kind].others, 0, NULL);
    json_object_foreach((json_t *)config, key, v) {
        const size_t n = strlen(text);
        if (is_known(kind, others, key) || is_empty_value(v)) continue;
        snprintf(text + n, HF_UNKNOWN - n, "%s%.60s", n ? ", " : "", key);
    }
    json_decref(others);
    return text;
}

int hf_config_read(struct dims *d, const json_t *config, const char *path)
{
    size_t kind;
    int rc;

    *d = (struct dims){ .ln_eps = LN_EPS, .H = 1, .K = 1, .conv_width = 4, .rope_theta = 10000,
                        .inner_lr = 1 };
    TRY(kind_of(&kind, config, path));
    TRY(must_be_off(config, "quantization_config", path));  /* weights are rounded */
    for (const struct key *k = kinds[kind].keys; k->key; k++) {
        const char *want = read_key(d, k, json_object_get(config, k->key));
        if (want) rc = fail(ERR_DATA, "%s: %s must be %s", path, k->key, want);
    }
    if (kinds[kind].read(d, config, path) != OK) rc = ERR_DATA;
    if (rc == OK) {
        struct pattern p;
        check(pattern_of(&p, d->layer) == OK);
        pattern_trim(&p, d);
    }
out:
    return rc;
}

/* --- writing --------------------------------------------------------------------- */

static int is_kind(size_t i, const struct dims *d)
{
    const struct layer *layer = layers_find(d->layer);
    return layer && layer->family == kinds[i].family && (!kinds[i].fits || kinds[i].fits(d));
}

/* The kind that base has, if it fits, or else the first that does; KINDS: none. */
static size_t kind_of_dims(const struct dims *d, const json_t *base)
{
    const json_t *type = json_object_get(base, "model_type");
    size_t i;

    for (i = 0; i < KINDS; i++)
        if (base && is_text(type, kinds[i].type) && is_kind(i, d)) return i;
    for (i = 0; i < KINDS && !is_kind(i, d); i++) continue;
    return i;
}

int hf_config_can_write(const struct dims *d)
{
    const size_t kind = kind_of_dims(d, NULL);

    if (pattern_is_list(d->layer))
        return fail(ERR_CONFIG, "no public format has a model whose blocks differ (model.layer: "
                    "[%s])", d->layer);
    if (kind == KINDS && d->window)
        return fail(ERR_CONFIG, "no Hugging Face model has the sequence layer %s with a sliding window "
                    "in some of its layers (model.full_layers %d) but no model.qkv_bias", d->layer,
                    d->full_layers);
    if (kind == KINDS)
        return fail(ERR_CONFIG, "no Hugging Face model has the sequence layer %s", d->layer);
    if (d->without)
        return fail(ERR_CONFIG, "a model without parts of the TTT layer (model.inner_*, "
                    "model.learn_*) is not one of the public code");
    if (kinds[kind].family == &family_llama && (d->pre_conv || !d->E))
        return fail(ERR_CONFIG, "a Llama has no convolution in front of attention and always a "
                    "feed-forward");
    if (kinds[kind].family == &family_ttt && !d->E)
        return fail(ERR_CONFIG, "model.ffn_width is 0, but the public code always has a "
                    "feed-forward");
    if (d->ln_eps != LN_EPS && kinds[kind].family == &family_ttt)
        return fail(ERR_CONFIG, "model.ln_eps is %g, but the public code fixes it to %g", d->ln_eps,
                    LN_EPS);
    return OK;
}

/* Where base is of another kind, its keys are another class's.  Those of TTT name none at times. */
static int is_base(size_t kind, const json_t *base)
{
    const json_t *type = json_object_get(base, "model_type");
    return type ? is_text(type, kinds[kind].type) : kind == 0;
}

json_t *hf_config_make(const struct dims *d, const json_t *base, int context)
{
    const size_t kind = kind_of_dims(d, base);
    json_t *config = json_loads(kinds[kind].others, 0, NULL);

    check(config);
    json_object_set_new(config, "architectures", json_pack("[s]", kinds[kind].architecture));
    json_object_set_new(config, "max_position_embeddings",
                        json_integer(context > 0 ? context : DEFAULT_CONTEXT));
    if (base && is_base(kind, base)) json_object_update(config, (json_t *)base);
    json_object_set_new(config, "model_type", json_string(kinds[kind].type));
    for (const struct key *k = kinds[kind].keys; k->key; k++) {
        const void *v = (const char *)d + k->at;
        if (k->kind == MAYBE && *(const int *)v == 0) continue;  /* as base has it, or absent */
        json_object_set_new(config, k->key,
                            k->kind == SWITCH     ? json_boolean(*(const int *)v)
                            : k->kind == POSITIVE ? json_real(*(const double *)v)
                                                  : json_integer(*(const int *)v));
    }
    kinds[kind].make(config, d);
    json_object_del(config, "torch_dtype");  /* what older files call it */
    json_object_set_new(config, "dtype",
                        json_string(sizeof(real) == sizeof(float) ? "float32" : "float64"));
    return config;
}
