/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/hf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text_file.h"
#include "src/store/hf_config.h"
#include "src/store/param_tensors.h"
#include "src/store/python_json.h"
#include "src/store/weight_files.h"

#define CONFIG_CAP ((size_t)1 << 20)

int hf_read_json(json_t **config, const char *folder)
{
    char *path = mem_format("%s/config.json", folder), *text = NULL;
    json_error_t error;
    size_t n = 0;
    int rc = OK;

    *config = NULL;
    TRY(text_file_read(&text, &n, path, CONFIG_CAP));
    *config = python_json_load(text, n, &error);
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

    *d = (struct dims){ .V = 0 };
    TRY(hf_read_json(&config, folder));
    rc = hf_config_read(d, config, path);
out:
    json_decref(config);
    mem_free(path);
    return rc;
}

/* A file may hold the head of a tied model, too, if it is the embedding. */
static int check_tied_head(struct weight_files *s, int head, const char *embedding, const char *path)
{
    const int embed = weight_files_find(s, embedding);
    const struct tensor *h = weight_files_tensor(s, head), *e = NULL;
    char *a, *b;
    int rc = ERR_DATA;

    if (embed >= 0) e = weight_files_tensor(s, embed);
    if (e && tensor_same_shape(h, e) && h->dtype == e->dtype) {
        a = mem_new(tensor_bytes(h), 1, "head");
        b = mem_new(tensor_bytes(e), 1, "embedding");
        rc = weight_files_read(s, head, a);
        if (rc == OK) rc = weight_files_read(s, embed, b);
        if (rc == OK && memcmp(a, b, (size_t)tensor_bytes(h)) != 0) rc = ERR_DATA;
        mem_free(a);
        mem_free(b);
    }
    if (rc != OK)
        fail(rc, "%s: lm_head.weight differs from %s, but config.json says tie_word_embeddings", path,
             embedding);
    return rc;
}

/* Of old files: the angles' frequencies, which every client computes from rope_theta. */
static int is_ignored(const char *name)
{
    static const char end[] = "rotary_emb.inv_freq";
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end) && (n == m || name[n - m - 1] == '.');
}

/* Every tensor of the table is there with its shape, and nothing else is. */
static int check_names(struct weight_files *s, const struct param_table *t, const char *path)
{
    char want[TENSOR_SHAPE_TEXT], have[TENSOR_SHAPE_TEXT];
    int rc = OK;

    for (int i = 0; i < t->count; i++) {
        const struct param *p = &t->p[i];
        const int k = weight_files_find(s, p->name);
        const struct tensor *x = k < 0 ? NULL : weight_files_tensor(s, k);
        if (!x)
            rc = fail(ERR_DATA, "%s: tensor '%s' is missing", path, p->name);
        else if (x->ndim != p->ndim ||
                 memcmp(x->shape, p->shape, (size_t)p->ndim * sizeof *p->shape) != 0)
            rc = fail(ERR_DATA, "%s: tensor '%s' has shape %s, the configuration needs %s", path,
                      p->name, tensor_shape_text(have, x->ndim, x->shape),
                      tensor_shape_text(want, p->ndim, p->shape));
    }
    for (int k = 0; k < weight_files_count(s); k++) {
        const char *name = weight_files_tensor(s, k)->name;
        int now = OK;
        if (param_find(t, name) >= 0 || is_ignored(name)) continue;
        if (!strcmp(name, "lm_head.weight")) now = check_tied_head(s, k, t->p[0].name, path);
        else now = fail(ERR_DATA, "%s: tensor '%s' is unknown to this model", path, name);
        if (now != OK) rc = now;
    }
    return rc;
}

int hf_read_weights(real *w, const struct param_table *t, const char *folder)
{
    struct weight_files *s = NULL;
    int rc = OK;

    TRY(weight_files_open(&s, folder));
    TRY(check_names(s, t, folder));
    for (int i = 0; w && i < t->count; i++)
        TRY(weight_files_read_real(s, weight_files_find(s, t->p[i].name), w + t->p[i].offset));
out:
    weight_files_close(s);
    return rc;
}

/* 1e-6, not 9.9999999999999995e-7. */
static char *json_text(const json_t *object, size_t flags)
{
    char *lines = NULL;
    for (size_t digits = 15; !lines; digits++) {
        char *text = json_dumps(object, JSON_INDENT(2) | flags | JSON_REAL_PRECISION(digits));
        json_t *back = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
        check(back);
        if (digits == 17 || json_equal(back, object)) lines = mem_format("%s\n", text);
        json_decref(back);
        free(text);
    }
    python_json_words(lines);
    return lines;
}

int hf_write_json(const char *folder, const char *name, const json_t *object)
{
    char *path = mem_format("%s/%s", folder, name), *text = json_text(object, 0);
    const int rc = file_replace(path, text, strlen(text));

    mem_free(text);
    mem_free(path);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

/* What config.json calls it. */
static const char *torch_name(enum dtype dtype)
{
    return dtype == DT_BF16 ? "bfloat16" : dtype == DT_F64 ? "float64" : "float32";
}

int hf_write(const char *folder, const struct dims *d, const struct param_table *t,
             const real *w, const json_t *base, int context)
{
    return hf_write_as(folder, d, t, w, base, context, &(struct hf_form){ .dtype = DT_REAL });
}

static json_t *id_or_null(int id) { return id >= 0 ? json_integer(id) : json_null(); }

/* The class has ids of its own where config.json has none: none is written as null. */
static void set_ids(json_t *config, const struct hf_ids *ids)
{
    json_object_set_new(config, "bos_token_id", id_or_null(ids ? ids->bos : -1));
    json_object_set_new(config, "eos_token_id", id_or_null(ids ? ids->eos : -1));
    json_object_set_new(config, "pad_token_id", id_or_null(ids ? ids->pad : -1));
}

int hf_write_generation(const char *folder, const struct hf_ids *ids)
{
    json_t *object = json_pack("{s:b}", "_from_model_config", 1);
    int rc;

    set_ids(object, ids);
    rc = hf_write_json(folder, "generation_config.json", object);
    json_decref(object);
    return rc;
}

int hf_write_as(const char *folder, const struct dims *d, const struct param_table *t,
                const real *w, const json_t *base, int context, const struct hf_form *form)
{
    char *config_path = mem_format("%s/config.json", folder), *lines = NULL;
    struct tensor *list = mem_new(t->count, sizeof *list, "list of tensors");
    json_t *config = NULL;
    int rc = OK;

    TRY(hf_config_can_write(d));
    if (path_exists(config_path) || weight_files_exist(folder))
        TRY(fail(ERR_USAGE, "%s: holds a model already; name another folder", folder));
    TRY(dir_make(folder));
    param_tensors(list, t, "", w);
    qsort(list, (size_t)t->count, sizeof *list, by_name);  /* the order of save_pretrained */
    TRY(weight_files_save(folder, list, t->count, form->dtype, form->most));
    config = hf_config_make(d, base, context);
    json_object_set_new(config, "dtype", json_string(torch_name(form->dtype)));
    if (form->ids || !base) set_ids(config, form->ids);
    lines = json_text(config, JSON_SORT_KEYS);
    TRY(file_replace(config_path, lines, strlen(lines)));
out:
    json_decref(config);
    mem_free(lines);
    mem_free(list);
    mem_free(config_path);
    return rc;
}
