#include "src/store/dims_json.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "src/base/status.h"
#include "src/layers/pattern.h"

/* One row per field of struct dims beside its layer. */
static const struct {
    const char *key;
    size_t at;
    int is_int, is_new;  /* new: not in every checkpoint, 0 where it is absent */
} fields[] = {
#define INT(name) { #name, offsetof(struct dims, name), 1, 0 }
#define NEW(name) { #name, offsetof(struct dims, name), 1, 1 }
#define NEW_NUM(name) { #name, offsetof(struct dims, name), 0, 1 }
#define NUM(name) { #name, offsetof(struct dims, name), 0, 0 }
    INT(V), INT(L), INT(C), INT(H), INT(E), INT(K), INT(conv_width), INT(gate), INT(share_qk),
    INT(pre_conv), INT(tied), NUM(rope_theta), NUM(rms_eps), NUM(ln_eps), NUM(init_std),
    NUM(inner_lr), NEW(Hkv), NEW(F), NEW(qkv_bias), NEW(window), NEW(full_layers),
    NEW(state), NEW(expand), NEW(dt_rank),
    NEW(without), NEW(rope_scaling), NEW(rope_original), NEW_NUM(rope_factor), NEW_NUM(rope_low),
    NEW_NUM(rope_high),
#undef INT
#undef NEW
#undef NEW_NUM
#undef NUM
};
#define FIELDS (int)(sizeof fields / sizeof *fields)

/* jansson fails here only without memory. */
static void set(json_t *object, const char *key, json_t *value)
{
    if (!value || json_object_set_new(object, key, value) != 0) die("out of memory for JSON");
}

/* A word, or a list of words. */
static json_t *layer_json(const char *text)
{
    char name[PATTERN_NAME];
    json_t *list;

    if (!pattern_is_list(text)) return json_string(text);
    list = json_array();
    while (*text) {
        text = pattern_next(name, text);
        if (json_array_append_new(list, json_string(name)) != 0) die("out of memory for JSON");
    }
    return list;
}

/* returns 0 if it is neither */
static int layer_of(char *text, const json_t *layer)
{
    const char *name = json_string_value(layer);
    size_t i;
    json_t *v;

    text[0] = '\0';
    if (!json_is_array(layer)) return name && pattern_add(text, name);
    json_array_foreach(layer, i, v)
        if (!json_is_string(v) || !pattern_add(text, json_string_value(v))) return 0;
    pattern_shorten(text);
    return text[0] != '\0';
}

json_t *dims_json(const struct dims *d)
{
    json_t *model = json_object();

    set(model, "layer", layer_json(d->layer));
    for (int i = 0; i < FIELDS; i++) {
        const void *v = (const char *)d + fields[i].at;
        set(model, fields[i].key,
            fields[i].is_int ? json_integer(*(const int *)v) : json_real(*(const double *)v));
    }
    return model;
}

int dims_of_info(struct dims *d, const json_t *info, const char *source)
{
    const json_t *model = json_object_get(info, "model");

    *d = (struct dims){ .layer = "" };
    if (!json_is_object(model))
        return fail(ERR_DATA, "%s: its info has no object \"model\", so it is not a model", source);
    if (!layer_of(d->layer, json_object_get(model, "layer")))
        return fail(ERR_DATA, "%s: model.layer is neither the name of a layer nor a list of at most "
                    "%d names", source, PATTERN_LAYERS);

    for (int i = 0; i < FIELDS; i++) {
        void *v = (char *)d + fields[i].at;
        const json_t *j = json_object_get(model, fields[i].key);
        const json_int_t n = json_integer_value(j);
        if (!j && fields[i].is_new) continue;
        if (fields[i].is_int) {
            if (!json_is_integer(j) || n < 0 || n > INT_MAX)
                return fail(ERR_DATA, "%s: model.%s must be an integer from 0 to %d", source,
                            fields[i].key, INT_MAX);
            *(int *)v = (int)n;
        } else {
            if (!json_is_number(j))
                return fail(ERR_DATA, "%s: model.%s must be a number", source, fields[i].key);
            *(double *)v = json_number_value(j);
        }
    }
    return OK;
}
