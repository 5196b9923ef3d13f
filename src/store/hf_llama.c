/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/hf_llama.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/status.h"

/* The value of a key as JSON, cut: for messages.  Returns text. */
#define SHOWN 64
static const char *show(char text[SHOWN], const json_t *v)
{
    char *whole = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    snprintf(text, SHOWN, "%s", whole ? whole : "?");
    free(whole);
    return text;
}

static int is_text(const json_t *v, const char *text)
{
    return json_is_string(v) && !strcmp(json_string_value(v), text);
}

/* --- what is not supported ------------------------------------------------------ */

/* Keys of this family and of its relatives that change what is computed, and the one value, apart
 * from null, that means "not". */
static const struct { const char *key; enum { OFF, ONE, SILU } must; } fixed[] = {
    { "hidden_act", SILU },                { "hidden_activation", SILU },
    { "mlp_bias", OFF },                   { "attention_out_bias", OFF },
    { "attn_logit_softcapping", OFF },     { "final_logit_softcapping", OFF },
    { "logits_soft_cap", OFF },            { "clip_qkv", OFF },
    { "use_qk_norm", OFF },                { "qk_layernorm", OFF },
    { "attention_chunk_size", OFF },       { "no_rope_layers", OFF },
    { "alibi", OFF },                      { "rope_interleaved", OFF },
    { "partial_rotary_factor", ONE },      { "rotary_pct", ONE },
    { "logit_scale", ONE },                { "logits_scaling", ONE },
    { "embedding_multiplier", ONE },       { "residual_multiplier", ONE },
};

static int means_off(const json_t *v)
{
    return json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0);
}

/* One key; what is wrong is reported. */
static int check_fixed(const json_t *config, const char *key, int must, const char *path)
{
    static const char *const expected[] = { "false or null", "1", "\"silu\"" };
    const json_t *v = json_object_get(config, key);
    char found[SHOWN];

    if (!v || json_is_null(v)) return OK;
    if (must == OFF && means_off(v)) return OK;
    if (must == ONE && json_is_number(v) && json_number_value(v) == 1) return OK;
    if (must == SILU && is_text(v, "silu")) return OK;
    return fail(ERR_DATA, "%s: %s is %s; models with it are not supported, expected %s", path, key,
                show(found, v), expected[must]);
}

static int check_all_fixed(const json_t *config, const char *path)
{
    int rc = OK;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (check_fixed(config, fixed[i].key, fixed[i].must, path) != OK) rc = ERR_DATA;
    return rc;
}

/* --- rotary positions -------------------------------------------------------------- */

/* Newer files have the angles' base in the same object, under the first name. */
static const char *const rope_names[] = { "rope_parameters", "rope_scaling" };
static const char *const rope_types[] = { "default", "linear", "llama3" };  /* enum rope_scaling */

static const json_t *rope_object(const json_t *config, const char **name)
{
    for (int i = 0; i < 2; i++) {
        const json_t *rope = json_object_get(config, *name = rope_names[i]);
        if (rope && !json_is_null(rope)) return rope;
    }
    return NULL;
}

/* A number of the object, at least `least`; absent: `*x` stays if `optional`. */
static int rope_number(double *x, const json_t *rope, const char *name, const char *key,
                       double least, int optional, const char *path)
{
    const json_t *v = json_object_get(rope, key);

    if (!v && optional) return OK;
    if (json_is_number(v) && json_number_value(v) >= least && json_number_value(v) <= 1e12) {
        *x = json_number_value(v);
        return OK;
    }
    return fail(ERR_DATA, "%s: %s.%s must be a number from %g on", path, name, key, least);
}

/* Nothing else may be in it. */
static int check_rope_keys(const json_t *rope, const char *name, const char *path)
{
    static const char *const known[] = {
        "rope_type", "type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor",
        "original_max_position_embeddings",
    };
    const char *key;
    json_t *v;
    char found[SHOWN];
    int rc = OK;

    json_object_foreach((json_t *)rope, key, v) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(key, known[i])) i++;
        if (i < sizeof known / sizeof *known || json_is_null(v)) continue;
        if (!strcmp(key, "partial_rotary_factor") && json_number_value(v) == 1) continue;
        rc = fail(ERR_DATA, "%s: %s.%.40s is %s; rotary positions with it are not supported", path,
                  name, key, show(found, v));
    }
    return rc;
}

static const json_t *type_of(const json_t *rope)
{
    const json_t *type = json_object_get(rope, "rope_type");
    return type ? type : json_object_get(rope, "type");
}

/* rope_type of the object (in old files "type") -> enum rope_scaling; -1, reported, if it is not
 * supported. */
static int rope_type(const json_t *rope, const char *name, const char *path)
{
    const json_t *type = type_of(rope);
    char found[SHOWN];

    if (!type && !strcmp(name, "rope_parameters")) return ROPE_DEFAULT;
    for (int i = ROPE_DEFAULT; i <= ROPE_LLAMA3; i++)
        if (is_text(type, rope_types[i])) return i;
    fail(ERR_DATA, "%s: %s.rope_type is %s; of the kinds of rotary positions default, linear and "
         "llama3 are supported", path, name, type ? show(found, type) : "missing");
    return -1;
}

/* 1 and 1.0 are the same, null and nothing, too. */
static int is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return (!a || json_is_null(a)) ? !b || json_is_null(b) : json_equal(a, b);
}

/* Does the other object, if there are two, say the same but for the base, which one of them may
 * have? */
static int is_same_rope(const json_t *a, const json_t *b)
{
    static const char *const keys[] = { "factor", "low_freq_factor", "high_freq_factor",
                                        "original_max_position_embeddings" };
    const json_t *x = json_object_get(a, "rope_theta"), *y = json_object_get(b, "rope_theta");
    int same = is_same(type_of(a), type_of(b)) && (!x || !y || is_same(x, y));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        same &= is_same(json_object_get(a, keys[i]), json_object_get(b, keys[i]));
    return same;
}

/* Of what is written twice, readers take the one or the other. */
static int check_rope_twice(const json_t *config, const json_t *rope, const char *name, const char *path)
{
    const json_t *type = json_object_get(rope, "type"), *theta = json_object_get(config, "rope_theta");
    const json_t *base = json_object_get(rope, "rope_theta"), *other = json_object_get(config, "rope_scaling");
    char one[SHOWN], two[SHOWN];

    if (type && !is_same(type, type_of(rope)))
        return fail(ERR_DATA, "%s: %s.rope_type is %s and %s.type is %s; expected the same, or one of them",
                    path, name, show(one, type_of(rope)), name, show(two, type));
    if (theta && base && !is_same(theta, base))
        return fail(ERR_DATA, "%s: %s.rope_theta is %s and rope_theta is %s; expected the same, or one of them",
                    path, name, show(one, base), show(two, theta));
    if (json_is_object(other) && !is_same_rope(other, rope))
        return fail(ERR_DATA, "%s: rope_parameters is %s and rope_scaling is %s; expected the same, or "
                    "one of them", path, show(one, rope), show(two, other));
    return OK;
}

static int read_rope(struct dims *d, const json_t *config, const char *path)
{
    const char *name;
    const json_t *rope = rope_object(config, &name);
    double original = 0;
    int rc = OK;

    if (!rope) return OK;
    if (!json_is_object(rope))
        return fail(ERR_DATA, "%s: %s must be an object or null", path, name);
    TRY(check_rope_twice(config, rope, name, path));
    TRY(rope_number(&d->rope_theta, rope, name, "rope_theta", 1, 1, path));
    const int type = rope_type(rope, name, path);
    if (type < 0) return ERR_DATA;
    d->rope_scaling = type;
    TRY(check_rope_keys(rope, name, path));
    if (type == ROPE_DEFAULT) return OK;
    TRY(rope_number(&d->rope_factor, rope, name, "factor", 1, 0, path));
    if (type == ROPE_LINEAR) return OK;
    TRY(rope_number(&d->rope_low, rope, name, "low_freq_factor", 1e-6, 0, path));
    TRY(rope_number(&d->rope_high, rope, name, "high_freq_factor", 1e-6, 0, path));
    TRY(rope_number(&original, rope, name, "original_max_position_embeddings", 1, 0, path));
    if (original > 1 << 24 || original != (int)original || d->rope_high <= d->rope_low)
        TRY(fail(ERR_DATA, "%s: %s must have a whole number of at most %d as "
                 "original_max_position_embeddings, and a high_freq_factor above low_freq_factor",
                 path, name, 1 << 24));
    d->rope_original = (int)original;
out:
    return rc;
}

static void make_rope(json_t *config, const struct dims *d)
{
    json_t *rope = json_null();

    json_object_del(config, "rope_parameters");  /* older readers need rope_theta and this */
    if (d->rope_scaling == ROPE_DEFAULT && !json_object_get(config, "rope_scaling")) return;
    if (d->rope_scaling != ROPE_DEFAULT)
        rope = json_pack("{s:s, s:f}", "rope_type", rope_types[d->rope_scaling], "factor",
                         d->rope_factor);
    if (d->rope_scaling == ROPE_LLAMA3) {
        json_object_set_new(rope, "low_freq_factor", json_real(d->rope_low));
        json_object_set_new(rope, "high_freq_factor", json_real(d->rope_high));
        json_object_set_new(rope, "original_max_position_embeddings",
                            json_integer(d->rope_original));
    }
    check(rope);
    json_object_set_new(config, "rope_scaling", rope);
}

/* --- windows ------------------------------------------------------------------------ */

/* Tokens of sliding_window; null: 0, absent: what the class has. */
static int read_window(int *window, const json_t *config, const char *path)
{
    enum { DEFAULT = 4096 };
    const json_t *v = json_object_get(config, "sliding_window");
    const json_int_t n = json_integer_value(v);

    *window = v ? 0 : DEFAULT;
    if (!v || json_is_null(v)) return OK;
    if (!json_is_integer(v) || n < 1 || n > INT_MAX)
        return fail(ERR_DATA, "%s: sliding_window must be null or a whole number >= 1", path);
    *window = (int)n;
    return OK;
}

/* layer_types, if it is there: first `full` layers with "full_attention", then the others with
 * "sliding_attention"; full [out].  returns 1; 0: absent; -1, reported: something else */
static int layer_types(int *full, const json_t *config, int L, const char *path)
{
    const json_t *types = json_object_get(config, "layer_types");
    int good = json_is_array(types) && json_array_size(types) == (size_t)L;

    if (!types || json_is_null(types)) return 0;
    for (*full = 0; good && *full < L; ++*full)
        if (!is_text(json_array_get(types, (size_t)*full), "full_attention")) break;
    for (int l = *full; good && l < L; l++)
        good = is_text(json_array_get(types, (size_t)l), "sliding_attention");
    if (good) return 1;
    fail(ERR_DATA, "%s: layer_types must have num_hidden_layers (%d) entries, full_attention of the "
         "first layers and sliding_attention of the others, for this program", path, L);
    return -1;
}

/* Window and layers without it of a Qwen2. */
static int qwen2_window(int *window, int *full, const json_t *config, int L, const char *path)
{
    const json_t *use = json_object_get(config, "use_sliding_window");
    const json_t *first = json_object_get(config, "max_window_layers");
    const json_int_t n = first ? json_integer_value(first) : 28;
    int by_types = 0;

    *window = *full = 0;
    if (use && !json_is_boolean(use))
        return fail(ERR_DATA, "%s: use_sliding_window must be true or false", path);
    const int types = layer_types(&by_types, config, L, path);
    if (types < 0) return ERR_DATA;
    if (!json_is_true(use)) return OK;
    if (first && (!json_is_integer(first) || n < 0 || n > INT_MAX))
        return fail(ERR_DATA, "%s: max_window_layers must be a whole number", path);
    *full = types ? by_types : (int)n;
    return read_window(window, config, path);
}

/* --- reading ------------------------------------------------------------------------ */

/* What all of the kinds have. */
static int read_common(struct dims *d, const json_t *config, const char *path)
{
    int rc = check_all_fixed(config, path);

    snprintf(d->layer, sizeof d->layer, "attention");
    if (!d->Hkv) d->Hkv = d->H;
    if (read_rope(d, config, path) != OK) rc = ERR_DATA;
    return rc;
}

/* All layers have the same attention, with a window or without. */
static int check_uniform(const struct dims *d, const json_t *config, const char *path)
{
    int full;
    const int types = layer_types(&full, config, d->L, path);

    if (types == 0 || (types > 0 && full == (d->window ? 0 : d->L))) return OK;
    return fail(ERR_DATA, "%s: layer_types is not that of all layers %s a sliding window", path,
                d->window ? "with" : "without");
}

int hf_llama_read(struct dims *d, const json_t *config, const char *path)
{
    static const char *const off[] = { "attention_bias", "sliding_window", "use_sliding_window" };
    int rc = read_common(d, config, path);

    for (int i = 0; i < 3; i++)
        if (check_fixed(config, off[i], OFF, path) != OK) rc = ERR_DATA;
    if (check_uniform(d, config, path) != OK) rc = ERR_DATA;
    return rc;
}

int hf_mistral_read(struct dims *d, const json_t *config, const char *path)
{
    enum { GROUPS = 8 };  /* where the key is absent */
    int rc = OK;

    if (!json_object_get(config, "num_key_value_heads")) d->Hkv = GROUPS;
    rc = read_common(d, config, path);
    if (check_fixed(config, "attention_bias", OFF, path) != OK) rc = ERR_DATA;
    if (read_window(&d->window, config, path) != OK) return ERR_DATA;
    if (check_uniform(d, config, path) != OK) rc = ERR_DATA;
    return rc;
}

int hf_qwen2_read(struct dims *d, const json_t *config, const char *path)
{
    enum { GROUPS = 32 };
    int rc = OK;

    if (!json_object_get(config, "num_key_value_heads")) d->Hkv = GROUPS;
    d->qkv_bias = 1;
    rc = read_common(d, config, path);
    if (qwen2_window(&d->window, &d->full_layers, config, d->L, path) != OK) rc = ERR_DATA;
    return rc;
}

int hf_llama_knows(const char *key)
{
    static const char *const read[] = { "attention_bias", "rope_scaling", "rope_parameters",
                                        "sliding_window", "use_sliding_window",
                                        "max_window_layers", "layer_types" };

    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (!strcmp(key, read[i])) return 1;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!strcmp(key, fixed[i].key)) return 1;
    return 0;
}

/* --- writing ------------------------------------------------------------------------ */

/* An absent or empty head_dim says width / heads. */
static void make_common(json_t *config, const struct dims *d)
{
    if (json_is_integer(json_object_get(config, "head_dim")))
        json_object_set_new(config, "head_dim", json_integer(head_width(d)));
    json_object_set_new(config, "num_key_value_heads", json_integer(head_groups(d)));
    make_rope(config, d);
}

void hf_llama_make(json_t *config, const struct dims *d)
{
    json_object_set_new(config, "head_dim", json_integer(head_width(d)));
    make_common(config, d);
}

void hf_mistral_make(json_t *config, const struct dims *d)
{
    make_common(config, d);
    json_object_set_new(config, "sliding_window",
                        d->window ? json_integer(d->window) : json_null());
}

/* What is there already stays if it means the same: there are many ways to say "no window". */
void hf_qwen2_make(json_t *config, const struct dims *d)
{
    int window, full;

    make_common(config, d);
    const int rc = qwen2_window(&window, &full, config, d->L, "config.json");
    if (full >= d->L) window = 0;
    if (rc == OK && window == d->window && (!window || full == d->full_layers)) return;
    json_object_del(config, "layer_types");
    json_object_set_new(config, "use_sliding_window", json_boolean(d->window));
    json_object_set_new(config, "sliding_window",
                        d->window ? json_integer(d->window) : json_null());
    json_object_set_new(config, "max_window_layers",
                        json_integer(d->window ? d->full_layers : d->L));
}

int hf_llama_fits(const struct dims *d) { return !d->qkv_bias && !d->window; }

int hf_mistral_fits(const struct dims *d) { return !d->qkv_bias && !d->full_layers; }

int hf_qwen2_fits(const struct dims *d) { return d->qkv_bias; }
