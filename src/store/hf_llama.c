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

/* Keys of this family and of its relatives that change what is computed, and the one value, beside
 * null, that means "not". */
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
    { "quantization_config", OFF },
};

static int means_off(const json_t *v)
{
    return json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0);
}

/* One key; what is wrong is said. */
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

/* rope_type of the object, once "type" -> enum rope_scaling; -1, said, if it is none of ours. */
static int rope_type(const json_t *rope, const char *name, const char *path)
{
    const json_t *type = json_object_get(rope, "rope_type");
    char found[SHOWN];

    if (!type) type = json_object_get(rope, "type");
    if (!type && !strcmp(name, "rope_parameters")) return ROPE_DEFAULT;
    for (int i = ROPE_DEFAULT; i <= ROPE_LLAMA3; i++)
        if (is_text(type, rope_types[i])) return i;
    fail(ERR_DATA, "%s: %s.rope_type is %s; of the kinds of rotary positions default, linear and "
         "llama3 are supported", path, name, type ? show(found, type) : "missing");
    return -1;
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

/* --- Llama ------------------------------------------------------------------------ */

/* What all of the kinds have. */
static int read_common(struct dims *d, const json_t *config, const char *path)
{
    int rc = check_all_fixed(config, path);

    snprintf(d->layer, sizeof d->layer, "attention");
    if (!d->Hkv) d->Hkv = d->H;
    if (read_rope(d, config, path) != OK) rc = ERR_DATA;
    return rc;
}

int hf_llama_read(struct dims *d, const json_t *config, const char *path)
{
    int rc = read_common(d, config, path);
    if (check_fixed(config, "attention_bias", OFF, path) != OK) rc = ERR_DATA;
    return rc;
}

void hf_llama_make(json_t *config, const struct dims *d)
{
    json_object_set_new(config, "head_dim", json_integer(head_width(d)));
    make_rope(config, d);
}
