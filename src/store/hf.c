#include "src/store/hf.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/param_tensors.h"
#include "src/store/safetensors.h"

#define CONFIG_CAP ((size_t)1 << 20)
#define LN_EPS 1e-6  /* fixed in the public code, so config.json has no key for it */

enum kind { COUNT, SWITCH, POSITIVE };

/* Keys of TTTConfig with the defaults of that class (ttt-lm-pytorch cd831db, ttt.py:88-170). */
static const struct {
    const char *key;
    enum kind   kind;
    size_t      at;       /* in struct dims */
    double      def;
} keys[] = {
    { "vocab_size", COUNT, offsetof(struct dims, V), 32000 },
    { "hidden_size", COUNT, offsetof(struct dims, C), 2048 },
    { "intermediate_size", COUNT, offsetof(struct dims, E), 5504 },
    { "num_hidden_layers", COUNT, offsetof(struct dims, L), 24 },
    { "num_attention_heads", COUNT, offsetof(struct dims, H), 32 },
    { "mini_batch_size", COUNT, offsetof(struct dims, K), 16 },
    { "conv_kernel", COUNT, offsetof(struct dims, conv_width), 4 },
    { "use_gate", SWITCH, offsetof(struct dims, gate), 0 },
    { "share_qk", SWITCH, offsetof(struct dims, share_qk), 0 },
    { "pre_conv", SWITCH, offsetof(struct dims, pre_conv), 0 },
    { "tie_word_embeddings", SWITCH, offsetof(struct dims, tied), 1 },
    { "rms_norm_eps", POSITIVE, offsetof(struct dims, rms_eps), 1e-6 },
    { "rope_theta", POSITIVE, offsetof(struct dims, rope_theta), 10000 },
    { "ttt_base_lr", POSITIVE, offsetof(struct dims, inner_lr), 1 },
    { "initializer_range", POSITIVE, offsetof(struct dims, init_std), 0.02 },
};
#define KEYS (sizeof keys / sizeof *keys)

/* What ttt_layer_type says, and what the layer is called here. */
static const struct { const char *theirs, *ours; } layers[] = {
    { "linear", "ttt_linear" }, { "mlp", "ttt_mlp" },
};
#define LAYERS (sizeof layers / sizeof *layers)

/* One key -> dims.  returns NULL, or what was expected instead. */
static const char *read_key(struct dims *d, size_t k, const json_t *v)
{
    void *to = (char *)d + keys[k].at;
    const json_int_t n = json_integer_value(v);
    const double x = json_number_value(v);

    switch (keys[k].kind) {
    case COUNT:
        *(int *)to = v ? (int)n : (int)keys[k].def;
        return !v || (json_is_integer(v) && n >= 1 && n <= INT_MAX) ? NULL : "an integer >= 1";
    case SWITCH:
        *(int *)to = v ? json_is_true(v) : (int)keys[k].def;
        return !v || json_is_boolean(v) ? NULL : "true or false";
    case POSITIVE:
        *(double *)to = v ? x : keys[k].def;
        return !v || (json_is_number(v) && x > 0 && isfinite(x)) ? NULL : "a number > 0";
    }
    return NULL;
}

/* A text key must have this value if it is there at all. */
static int must_be(const json_t *config, const char *key, const char *value, const char *path)
{
    const json_t *v = json_object_get(config, key);
    if (!v || (json_is_string(v) && !strcmp(json_string_value(v), value))) return OK;
    return fail(ERR_DATA, "%s: %s must be \"%s\" for this program", path, key, value);
}

int hf_read_json(json_t **config, const char *folder)
{
    char *path = mem_format("%s/config.json", folder), *text = NULL;
    json_error_t error;
    size_t n = 0;
    int rc = OK;

    *config = NULL;
    TRY(file_slurp(&text, &n, path, CONFIG_CAP));
    *config = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!*config) TRY(fail(ERR_DATA, "%s:%d:%d: %s", path, error.line, error.column, error.text));
    if (!json_is_object(*config)) {
        json_decref(*config);
        *config = NULL;
        TRY(fail(ERR_DATA, "%s: not a JSON object", path));
    }
out:
    mem_free(path);
    mem_free(text);
    return rc;
}

int hf_read_config(struct dims *d, const char *folder)
{
    char *path = mem_format("%s/config.json", folder);
    json_t *config = NULL;
    int rc = OK;

    *d = (struct dims){ .ln_eps = LN_EPS };
    TRY(hf_read_json(&config, folder));
    if (must_be(config, "model_type", "ttt", path) != OK) rc = ERR_DATA;
    if (must_be(config, "hidden_act", "silu", path) != OK) rc = ERR_DATA;
    for (size_t k = 0; k < KEYS; k++) {
        const char *want = read_key(d, k, json_object_get(config, keys[k].key));
        if (want) rc = fail(ERR_DATA, "%s: %s must be %s", path, keys[k].key, want);
    }
    const json_t *layer = json_object_get(config, "ttt_layer_type");
    const char *type = layer ? json_string_value(layer) : "linear";
    for (size_t i = 0; i < LAYERS; i++)
        if (type && !strcmp(type, layers[i].theirs))
            snprintf(d->layer, sizeof d->layer, "%s", layers[i].ours);
    if (!*d->layer)
        rc = fail(ERR_DATA, "%s: ttt_layer_type must be \"linear\" or \"mlp\"", path);
out:
    json_decref(config);
    mem_free(path);
    return rc;
}

/* A file may hold the head of a tied model, too, if it is the embedding. */
static int check_tied_head(struct safetensors *s, int head, const char *path)
{
    const int embed = safetensors_find(s, "model.embed_tokens.weight");
    const struct tensor *h = safetensors_tensor(s, head), *e = NULL;
    char *a, *b;
    int rc = ERR_DATA;

    if (embed >= 0) e = safetensors_tensor(s, embed);
    if (e && tensor_same_shape(h, e) && h->dtype == e->dtype) {
        a = mem_new(tensor_bytes(h), 1, "head");
        b = mem_new(tensor_bytes(e), 1, "embedding");
        rc = safetensors_read(s, head, a);
        if (rc == OK) rc = safetensors_read(s, embed, b);
        if (rc == OK && memcmp(a, b, (size_t)tensor_bytes(h)) != 0) rc = ERR_DATA;
        mem_free(a);
        mem_free(b);
    }
    if (rc != OK)
        fail(rc, "%s: lm_head.weight differs from model.embed_tokens.weight, but config.json says "
             "tie_word_embeddings", path);
    return rc;
}

/* Every tensor of the table is there with its shape, and nothing else is. */
static int check_names(struct safetensors *s, const struct param_table *t, const char *path)
{
    char want[TENSOR_SHAPE_TEXT], have[TENSOR_SHAPE_TEXT];
    int rc = OK;

    for (int i = 0; i < t->count; i++) {
        const struct param *p = &t->p[i];
        const int k = safetensors_find(s, p->name);
        const struct tensor *x = k < 0 ? NULL : safetensors_tensor(s, k);
        if (!x)
            rc = fail(ERR_DATA, "%s: tensor '%s' is missing", path, p->name);
        else if (x->ndim != p->ndim ||
                 memcmp(x->shape, p->shape, (size_t)p->ndim * sizeof *p->shape) != 0)
            rc = fail(ERR_DATA, "%s: tensor '%s' has shape %s, the configuration needs %s", path,
                      p->name, tensor_shape_text(have, x->ndim, x->shape),
                      tensor_shape_text(want, p->ndim, p->shape));
    }
    for (int k = 0; k < safetensors_count(s); k++) {
        const char *name = safetensors_tensor(s, k)->name;
        int now = OK;
        if (param_find(t, name) >= 0) continue;
        if (!strcmp(name, "lm_head.weight")) now = check_tied_head(s, k, path);
        else now = fail(ERR_DATA, "%s: tensor '%s' is unknown to this model", path, name);
        if (now != OK) rc = now;
    }
    return rc;
}

int hf_read_weights(real *w, const struct param_table *t, const char *folder)
{
    char *path = mem_format("%s/model.safetensors", folder);
    struct safetensors *s = NULL;
    char *shards = mem_format("%s.index.json", path);
    int rc = OK;

    if (!path_exists(path) && path_exists(shards))
        TRY(fail(ERR_DATA, "%s: the weights are in several files; join them into one "
                 "model.safetensors first (save_pretrained with a larger max_shard_size)", shards));
    TRY(safetensors_open(&s, path));
    TRY(check_names(s, t, path));
    for (int i = 0; i < t->count; i++)
        TRY(safetensors_read_real(s, safetensors_find(s, t->p[i].name), w + t->p[i].offset));
out:
    safetensors_close(s);
    mem_free(path);
    mem_free(shards);
    return rc;
}

/* As save_pretrained of the public code writes it: `base`, else its usual values, with
 * everything that dims say on top. */
static json_t *make_config(const struct dims *d, const json_t *base, int context)
{
    json_t *config = json_pack("{s:[s], s:i, s:i, s:s, s:i, s:s, s:i, s:i, s:b}",
                               "architectures", "TTTForCausalLM", "bos_token_id", 1,
                               "eos_token_id", 2, "hidden_act", "silu",
                               "max_position_embeddings", context > 0 ? context : 2048,
                               "model_type", "ttt", "pretraining_tp", 1,
                               "scan_checkpoint_group_size", 0, "use_cache", 0);
    check(config);
    if (base) json_object_update(config, (json_t *)base);
    for (size_t k = 0; k < KEYS; k++) {
        const void *v = (const char *)d + keys[k].at;
        json_object_set_new(config, keys[k].key,
                            keys[k].kind == COUNT    ? json_integer(*(const int *)v)
                            : keys[k].kind == SWITCH ? json_boolean(*(const int *)v)
                                                     : json_real(*(const double *)v));
    }
    for (size_t i = 0; i < LAYERS; i++)
        if (!strcmp(d->layer, layers[i].ours))
            json_object_set_new(config, "ttt_layer_type", json_string(layers[i].theirs));
    json_object_del(config, "torch_dtype");  /* what older files call it */
    json_object_set_new(config, "dtype",
                        json_string(sizeof(real) == sizeof(float) ? "float32" : "float64"));
    return config;
}

/* With as few digits as bring every number back: 1e-6, not 9.9999999999999995e-7. */
static char *config_text(const json_t *config)
{
    char *lines = NULL;
    for (size_t digits = 15; !lines; digits++) {
        char *text = json_dumps(config, JSON_INDENT(2) | JSON_SORT_KEYS |
                                JSON_REAL_PRECISION(digits));
        json_t *back = text ? json_loads(text, 0, NULL) : NULL;
        check(back);
        if (digits == 17 || json_equal(back, config)) lines = mem_format("%s\n", text);
        json_decref(back);
        free(text);
    }
    return lines;
}

static int can_be_said(const struct dims *d)
{
    int known = 0;
    for (size_t i = 0; i < LAYERS; i++) known |= !strcmp(d->layer, layers[i].ours);
    if (!known)
        return fail(ERR_CONFIG, "no Hugging Face model has the sequence layer %s", d->layer);
    if (d->without)
        return fail(ERR_CONFIG, "a model without parts of the TTT layer (model.inner_*, "
                    "model.learn_*) is not one of the public code");
    if (d->ln_eps != LN_EPS)
        return fail(ERR_CONFIG, "model.ln_eps is %g, but the public code fixes it to %g", d->ln_eps,
                    LN_EPS);
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

int hf_write(const char *folder, const struct dims *d, const struct param_table *t,
             const real *w, const json_t *base, int context)
{
    char *config_path = mem_format("%s/config.json", folder), *lines = NULL;
    char *weights_path = mem_format("%s/model.safetensors", folder);
    struct tensor *list = mem_new(t->count, sizeof *list, "list of tensors");
    json_t *config = NULL;
    int rc = OK;

    TRY(can_be_said(d));
    if (path_exists(config_path) || path_exists(weights_path))
        TRY(fail(ERR_USAGE, "%s: holds a model already; name another folder", folder));
    TRY(dir_make(folder));
    param_tensors(list, t, "", w);
    qsort(list, (size_t)t->count, sizeof *list, by_name);  /* the order of save_pretrained */
    TRY(safetensors_save(weights_path, list, t->count));
    config = make_config(d, base, context);
    lines = config_text(config);
    TRY(file_replace(config_path, lines, strlen(lines)));
out:
    json_decref(config);
    mem_free(lines);
    mem_free(list);
    mem_free(config_path);
    mem_free(weights_path);
    return rc;
}
