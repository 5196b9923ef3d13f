/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text_file.h"
#include "src/data/dataset.h"
#include "src/data/token.h"
#include "src/data/token_hf.h"
#include "src/store/dims_json.h"
#include "src/store/hf.h"
#include "src/store/hf_config.h"
#include "src/store/hf_files.h"
#include "src/store/model_at.h"

/* "dir/name", and whether it is there; a counted string or NULL. */
static char *inside(const char *dir, const char *name)
{
    char *path = mem_format("%s/%s", dir, name);
    if (path_exists(path)) return path;
    mem_free(path);
    return NULL;
}

static int context_of(const json_t *j, const char *key)
{
    const json_int_t n = json_integer_value(json_object_get(j, key));
    return n > 0 && n <= INT32_MAX ? (int)n : 0;
}

/* The kind that tokenizer_config.json of an export names, or NULL; a counted string.  Other
 * programs write numbers there that are no integers of ours (model_max_length 1e30). */
static char *named_kind(const char *path)
{
    char *text = NULL, *kind = NULL;
    json_t *config = NULL;
    size_t n = 0;

    if (text_file_read(&text, &n, path, TOKENIZER_MAX_BYTES) == OK)
        config = json_loadb(text, n, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    if (!config) log_warn("%s: cannot be read, so the kind of the tokenizer is unknown", path);
    else if (token_hf_kind(config)) kind = mem_string(token_hf_kind(config));
    json_decref(config);
    mem_free(text);
    return kind;
}

/* tokenizer.model, or the kind that an export names. */
static void find_tokenizer(struct load_info *info, const char *folder)
{
    char *path = inside(folder, "tokenizer_config.json");

    info->tokenizer_path = inside(folder, "tokenizer.model");
    if (info->tokenizer_path) info->tokenizer_kind = mem_string("sentencepiece");
    else if (path) info->tokenizer_kind = named_kind(path);
    mem_free(path);
}

static int load_hf(struct model **out, struct load_info *info, const struct model_at *at,
                   const char *path)
{
    struct param_table table = { 0 };
    struct model *m = NULL;
    char unknown[HF_UNKNOWN];
    int rc = OK;

    TRY(model_layout(&table, &at->dims));
    TRY(hf_read_weights(NULL, &table, path));  /* before memory is asked for */
    TRY(model_new(&m, &at->dims));
    TRY(hf_read_weights(m->w, &m->params, path));
    if (*hf_config_unknown(unknown, at->config))
        log_warn("%s/config.json: these keys are not known and have no effect: %s", path, unknown);
    info->source = mem_string(path);
    info->kind = "huggingface";
    info->context = context_of(at->config, "max_position_embeddings");
    find_tokenizer(info, path);
    *out = m;
    m = NULL;
out:
    param_done(&table);
    model_free(m);
    return rc;
}

/* Every parameter must be there with its shape before memory is asked for. */
static int check_tensors(const struct ckpt *c, const struct param_table *t)
{
    int rc = OK;

    for (int i = 0; i < t->count; i++) {
        const struct param *p = &t->p[i];
        const int k = ckpt_find(c, p->name);
        if (k < 0) {
            rc = fail(ERR_DATA, "%s: the parameter %s is missing", ckpt_path(c), p->name);
            continue;
        }
        const struct tensor *x = ckpt_tensor(c, k);
        int same = x->ndim == p->ndim && (x->dtype == DT_F32 || x->dtype == DT_F64);
        for (int j = 0; same && j < p->ndim; j++) same = x->shape[j] == p->shape[j];
        if (!same)
            rc = fail(ERR_DATA, "%s: parameter %s does not have the shape and type that the "
                      "model's dimensions need", ckpt_path(c), p->name);
    }
    return rc;
}

/* Tensor k as reals; a checkpoint of the other build is converted. */
static int read_reals(struct ckpt *c, int k, real *w)
{
    const struct tensor *x = ckpt_tensor(c, k);
    const int64_t n = tensor_n(x);

    if (!strcmp(dtype_name(x->dtype), REAL_DTYPE)) return ckpt_read(c, k, w);
    void *raw = mem_new(n, (size_t)dtype_bytes(x->dtype), "tensor of another type");
    const int rc = ckpt_read(c, k, raw);
    if (rc == OK)
        for (int64_t i = 0; i < n; i++)
            w[i] = x->dtype == DT_F32 ? (real)((float *)raw)[i] : (real)((double *)raw)[i];
    mem_free(raw);
    return rc;
}

static int describe_ckpt(struct load_info *info, const struct ckpt *c)
{
    const json_t *j = ckpt_info(c), *tokenizer = json_object_get(j, "tokenizer");
    const char *kind = json_string_value(json_object_get(tokenizer, "kind"));
    const char *path = json_string_value(json_object_get(tokenizer, "path"));
    const char *hash = json_string_value(json_object_get(tokenizer, "hash"));

    info->kind = "checkpoint";
    info->source = mem_string(ckpt_path(c));
    info->step = ckpt_step(c);
    info->root = ckpt_root(c);
    info->context = context_of(j, "context");
    if (!kind) return OK;
    info->tokenizer_kind = mem_string(kind);
    if (hash && hash_parse(&info->tokenizer_hash, hash) != OK)
        return fail(ERR_DATA, "%s: its info has a hash of the tokenizer that is not a hash",
                    ckpt_path(c));
    /* Copies that move with it: a run's next to ckpt/, an import's next to the checkpoint. */
    if (path) {
        const json_t *files;
        char *run = mem_format("%s/../..", ckpt_path(c)), *kept = NULL;
        const int rc = hf_files_of(&files, &kept, j, ckpt_path(c));
        info->tokenizer_path = inside(run, "tokenizer.model");
        if (!info->tokenizer_path && kept) info->tokenizer_path = inside(kept, "tokenizer.model");
        if (!info->tokenizer_path) info->tokenizer_path = mem_string(path);
        mem_free(run);
        mem_free(kept);
        return rc;
    }
    return OK;
}

static int load_ckpt(struct model **out, struct load_info *info, const struct model_at *at)
{
    struct param_table table = { 0 };
    struct ckpt *c = at->ckpt;
    struct model *m = NULL;
    int rc = OK;

    TRY(model_layout(&table, &at->dims));
    TRY(check_tensors(c, &table));
    TRY(model_new(&m, &at->dims));
    for (int i = 0; i < m->params.count; i++)
        TRY(read_reals(c, ckpt_find(c, m->params.p[i].name), m->w + m->params.p[i].offset));
    TRY(describe_ckpt(info, c));
    *out = m;
    m = NULL;
out:
    param_done(&table);
    model_free(m);
    return rc;
}

/* Whoever wrote them: numbers. */
static int check_finite(const struct model *m, const char *source)
{
    char place[TENSOR_SHAPE_TEXT];

    for (int k = 0; k < m->params.count; k++) {
        const struct param *p = &m->params.p[k];
        const real *w = m->w + p->offset;
        int64_t bad = 0, first = 0;
        for (int64_t i = p->n - 1; i >= 0; i--)
            if (!isfinite(w[i])) first = i, bad++;
        if (bad)
            return fail(ERR_DATA, "%s: tensor '%s' holds %s at %s (%lld of its %lld numbers are NaN "
                        "or Inf)", source, p->name, isnan(w[first]) ? "NaN" : "Inf",
                        tensor_place_text(place, p->ndim, p->shape, first), (long long)bad,
                        (long long)p->n);
    }
    return OK;
}

int load_model(struct model **out, struct load_info *info, const char *path)
{
    struct model_at at;
    int rc;

    *out = NULL;
    *info = (struct load_info){ .step = -1 };
    rc = model_at_open(&at, path, MODEL_PROVED);
    if (rc == OK) rc = at.config ? load_hf(out, info, &at, path) : load_ckpt(out, info, &at);
    if (rc == OK) rc = check_finite(*out, info->source);
    if (rc != OK) {
        model_free(*out);
        *out = NULL;
        load_done(info);
    }
    model_at_close(&at);
    return rc;
}

void load_done(struct load_info *info)
{
    mem_free(info->source);
    mem_free(info->tokenizer_kind);
    mem_free(info->tokenizer_path);
    *info = (struct load_info){ .step = -1 };
}

int load_tokenizer(struct tokenizer **out, const struct load_info *info, const struct model *m,
                   const char *path)
{
    const char *kind = info->tokenizer_kind;
    struct tokenizer *t = NULL;
    int rc = OK;

    *out = NULL;
    if (path) kind = strcmp(path, "bytes") ? "sentencepiece" : "bytes";
    else path = info->tokenizer_path;
    if (!kind)
        return fail(ERR_MISSING, "%s does not say which tokenizer it was trained with; name it "
                    "with --tokenizer", info->source);
    if (!strcmp(kind, "bytes")) path = NULL;
    TRY(tokenizer_open(&t, kind, path));

    const struct hash want = info->tokenizer_hash;
    if ((want.lo || want.hi) && !hash_equal(want, tokenizer_hash(t)))
        TRY(fail(ERR_CONFIG, "%s is not the tokenizer that %s was trained with",
                 path ? path : kind, info->source));
    if (tokenizer_vocab(t) > m->dims.V)
        TRY(fail(ERR_CONFIG, "%s has %d tokens, %s knows %d", path ? path : kind,
                 tokenizer_vocab(t), info->source, m->dims.V));
    *out = t;
    t = NULL;
out:
    tokenizer_close(t);
    return rc;
}

int load_same_tokenizer(const struct load_info *info, const struct model *m,
                        const struct dataset *d, const char *data)
{
    struct hash want = info->tokenizer_hash, found;
    struct tokenizer *t = NULL;
    const char *path, *kind = dataset_tokenizer(d, &path, &found);
    int rc = OK;

    if (!want.lo && !want.hi && !info->tokenizer_kind) {
        log_warn("%s does not say which tokenizer it was trained with (no tokenizer.model): nothing "
                 "tells whether the data, %s (tokenizer: %s%s%s), were made with it; it knows %d "
                 "tokens, that tokenizer %d", info->source, data, kind, path ? " " : "",
                 path ? path : "", m->dims.V, dataset_vocab(d));
        return OK;
    }
    if (!want.lo && !want.hi) {
        TRY(load_tokenizer(&t, info, m, NULL));
        want = tokenizer_hash(t);
    }
    if (!hash_equal(want, found))
        TRY(fail(ERR_CONFIG, "the data, %s, were made with another tokenizer (%s%s%s) than the "
                 "model's (%s)", data, kind, path ? " " : "", path ? path : "", info->source));
out:
    tokenizer_close(t);
    return rc;
}

int load_precision(struct model *m, const char *name, int way_back)
{
    if (!name || !strcmp(name, "fp32")) return OK;
    if (strcmp(name, "bf16") != 0)
        return fail(ERR_USAGE, "--precision is fp32 or bf16, not '%s'", name);
    model_use_bf16(m, way_back);
    model_all_weights_changed(m);
    return OK;
}

void load_describe(json_t *info, const struct dims *d, int context, const char *kind,
                   const char *path, struct hash hash)
{
    char hex[HASH_HEX];
    char *whole = path ? realpath(path, NULL) : NULL;

    json_object_set_new(info, "model", dims_json(d));
    if (context > 0) json_object_set_new(info, "context", json_integer(context));
    hash_hex(hex, hash);
    json_t *tokenizer = json_pack("{s:s?, s:s}", "kind", kind, "hash", hex);
    if (path) json_object_set_new(tokenizer, "path", json_string(whole ? whole : path));
    if (kind) json_object_set(info, "tokenizer", tokenizer);
    json_decref(tokenizer);
    free(whole);
}
