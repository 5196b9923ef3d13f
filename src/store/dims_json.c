/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/dims_json.h"

#include <limits.h>
#include <string.h>

#include "src/base/status.h"
#include "src/layers/dims_table.h"
#include "src/layers/pattern.h"

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
    const struct dim *row;

    for (int i = 0; (row = dims_row(i)); i++) {
        const void *v = dims_get(d, row);
        if (!row->name) continue;
        set(model, row->name, row->type == DIM_LAYERS ? layer_json(v)
                              : row->type == DIM_INT  ? json_integer(*(const int *)v)
                                                      : json_real(*(const double *)v));
    }
    return model;
}

/* The value j of a row, which may be absent; what is wrong is reported. */
static int read_row(struct dims *d, const struct dim *row, const json_t *j, const char *source)
{
    void *v = dims_at(d, row);
    const json_int_t n = json_integer_value(j);

    if (!j && row->optional) return OK;
    switch (row->type) {
    case DIM_LAYERS:
        if (layer_of(v, j)) return OK;
        return fail(ERR_DATA, "%s: model.layer is neither the name of a layer nor a list of at most "
                    "%d names", source, PATTERN_LAYERS);
    case DIM_NUMBER:
        if (!json_is_number(j))
            return fail(ERR_DATA, "%s: model.%s must be a number", source, row->name);
        *(double *)v = json_number_value(j);
        return OK;
    default:
        if (!json_is_integer(j) || n < 0 || n > INT_MAX)
            return fail(ERR_DATA, "%s: model.%s must be an integer from 0 to %d", source, row->name,
                        INT_MAX);
        *(int *)v = (int)n;
        return OK;
    }
}

int dims_of_info(struct dims *d, const json_t *info, const char *source)
{
    const json_t *model = json_object_get(info, "model");
    const struct dim *row;
    int rc = OK;

    *d = (struct dims){ .layer = "" };
    if (!json_is_object(model))
        return fail(ERR_DATA, "%s: its info has no object \"model\", so it is not a model", source);
    for (int i = 0; rc == OK && (row = dims_row(i)); i++)
        if (row->name) rc = read_row(d, row, json_object_get(model, row->name), source);
    return rc;
}
