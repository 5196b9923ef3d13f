/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define FORMAT "ttt checkpoint"
#define VERSION 1
#define TRAILER "XXH3-128 "
#define TRAILER_BYTES (sizeof TRAILER - 1 + HASH_HEX)  /* digits, and a newline for the zero */
#define CANONICAL (JSON_SORT_KEYS | JSON_COMPACT)

static int by_value(const void *a, const void *b)
{
    const struct hash *x = a, *y = b;
    if (x->hi != y->hi) return x->hi < y->hi ? -1 : 1;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

struct hash manifest_root(struct hash *leaves, int64_t n, const json_t *scalars)
{
    struct hasher *h = hasher_new();
    char *text = json_dumps(scalars, CANONICAL);

    check(text);
    qsort(leaves, (size_t)n, sizeof *leaves, by_value);
    for (int64_t i = 0; i < n; i++) {
        unsigned char b[16];
        hash_store(b, leaves[i]);
        hasher_add(h, b, sizeof b);
    }
    hasher_add(h, text, strlen(text));
    const struct hash root = hasher_get(h);
    free(text);
    hasher_free(h);
    return root;
}

static json_t *hash_json(struct hash h)
{
    char hex[HASH_HEX];
    hash_hex(hex, h);
    return json_string(hex);
}

/* Tensor table; NULL with a message. */
static json_t *tensors_json(const struct manifest *m)
{
    json_t *list = json_array(), *names = json_object();
    int good = m->count <= TENSOR_COUNT;

    for (int i = 0; i < m->count && good; i++) {
        const struct tensor *t = &m->tensors[i];
        json_t *shape = json_array();
        for (int d = 0; d < t->ndim; d++) json_array_append_new(shape, json_integer(t->shape[d]));
        json_t *one = json_pack("{s:s, s:s, s:o}", "name", t->name, "dtype", dtype_name(t->dtype),
                                "shape", shape);
        good = one && *t->name && !json_object_get(names, t->name) &&
               json_object_set_new(names, t->name, json_true()) == 0;
        if (!good) fail(ERR_CONFIG, "checkpoint: tensor %d '%s': its name is empty, not UTF-8, or "
                        "comes twice", i, t->name);
        if (one) json_array_append_new(list, one);
    }
    if (m->count > TENSOR_COUNT)
        fail(ERR_CONFIG, "checkpoint: %d tensors, at most %d are allowed", m->count, TENSOR_COUNT);
    json_decref(names);
    if (good) return list;
    json_decref(list);
    return NULL;
}

char *manifest_text(size_t *bytes, const struct manifest *m)
{
    json_t *tensors = tensors_json(m), *files = json_array();
    char hex[HASH_HEX], *block = NULL;

    *bytes = 0;
    for (int i = 0; i < m->n_files; i++) {
        const struct writer_file *f = &m->files[i];
        json_array_append_new(files, json_pack("{s:s, s:I, s:I, s:o}", "name", f->name, "bytes",
                                               (json_int_t)f->bytes, "tiles",
                                               (json_int_t)f->tiles, "index",
                                               hash_json(f->index)));
    }
    if (!tensors) {
        json_decref(files);
        return NULL;
    }
    json_t *root = json_pack("{s:s, s:i, s:I, s:I, s:I, s:o, s:o, s:O, s:O, s:o}",
                             "format", FORMAT, "version", VERSION, "step", (json_int_t)m->step,
                             "attempt", (json_int_t)m->attempt, "created", (json_int_t)m->created,
                             "tensors", tensors, "files", files, "scalars", m->scalars,
                             "info", m->info, "root", hash_json(m->root));
    check(root);
    char *text = json_dumps(root, CANONICAL);
    check(text);
    const size_t n = strlen(text) + 1;
    if (n + TRAILER_BYTES > MANIFEST_BYTES) {
        fail(ERR_CONFIG, "checkpoint: a MANIFEST of %zu bytes, at most %zu are allowed", n,
             MANIFEST_BYTES);
    } else {
        text[n - 1] = '\n';
        hash_hex(hex, hash_bytes(text, n));
        block = mem_format("%.*s" TRAILER "%s\n", (int)n, text, hex);
        *bytes = n + TRAILER_BYTES;
    }
    free(text);
    json_decref(root);
    return block;
}

static const char *parse_tensors(struct manifest *m, const json_t *list)
{
    json_t *names = json_object();
    const char *wrong = NULL;

    if (json_array_size(list) > TENSOR_COUNT) wrong = "too many tensors";
    m->count = wrong ? 0 : (int)json_array_size(list);
    m->tensors = mem_new(m->count, sizeof *m->tensors, "checkpoint tensors");
    for (int i = 0; i < m->count && !wrong; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        const char *name = json_string_value(json_object_get(v, "name"));
        wrong = tensor_parse(&m->tensors[i], name, json_object_get(v, "dtype"),
                             json_object_get(v, "shape"));
        if (!wrong && json_object_size(v) != 3) wrong = "a tensor has unknown members";
        if (!wrong && json_object_get(names, name)) wrong = "two tensors have the same name";
        if (!wrong) json_object_set_new(names, name, json_true());
    }
    json_decref(names);
    return wrong;
}

static const char *parse_files(struct manifest *m, json_t *list)
{
    int64_t all = 0;

    if (json_array_size(list) > WRITER_FILES) return "too many writer files";
    m->n_files = (int)json_array_size(list);
    m->files = mem_new(m->n_files, sizeof *m->files, "checkpoint files");
    for (int i = 0; i < m->n_files; i++) {
        struct writer_file *f = &m->files[i];
        const char *name = NULL, *index = NULL;
        json_int_t bytes = 0, tiles = 0;

        writer_name(f->name, i);
        if (json_unpack(json_array_get(list, (size_t)i), "{s:s, s:I, s:I, s:s !}", "name", &name,
                        "bytes", &bytes, "tiles", &tiles, "index", &index) != 0 ||
            strcmp(name, f->name) != 0 || hash_parse(&f->index, index) != OK || bytes < 0 ||
            tiles < 0 || tiles > bytes / WRITER_ENTRY || __builtin_add_overflow(all, bytes, &all))
            return "the description of a writer file is not valid";
        f->bytes = bytes;
        f->tiles = tiles;
    }
    return NULL;
}

static const char *parse(struct manifest *m, json_t *root)
{
    const char *format = NULL, *hex = NULL, *wrong;
    json_t *tensors = NULL, *files = NULL, *scalars = NULL, *info = NULL;
    json_int_t step = 0, attempt = 0, created = 0;
    int version = 0;

    if (json_unpack(root, "{s:s, s:i}", "format", &format, "version", &version) != 0 ||
        strcmp(format, FORMAT) != 0)
        return "not the MANIFEST of a checkpoint";
    if (version != VERSION) return "a version that this program does not know";
    if (json_unpack(root, "{s:s, s:i, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:s !}",
                    "format", &format, "version", &version, "step", &step, "attempt", &attempt,
                    "created", &created, "tensors", &tensors, "files", &files,
                    "scalars", &scalars, "info", &info, "root", &hex) != 0)
        return "members are missing, unknown, or of the wrong type";
    if (step < 0 || attempt < 0 || !json_is_array(tensors) || !json_is_array(files) ||
        !json_is_object(scalars) || !json_is_object(info) || hash_parse(&m->root, hex) != OK)
        return "a member has a value that can't be";
    m->step = step;
    m->attempt = attempt;
    m->created = created;
    m->scalars = json_incref(scalars);
    m->info = json_incref(info);
    wrong = parse_tensors(m, tensors);
    return wrong ? wrong : parse_files(m, files);
}

int manifest_parse(struct manifest *m, const char *text, size_t bytes, const char *path)
{
    const size_t n = bytes > TRAILER_BYTES ? bytes - TRAILER_BYTES : 0;
    char want[TRAILER_BYTES + 1], hex[HASH_HEX];
    json_t *root = NULL;

    *m = (struct manifest){ 0 };
    m->self = hash_bytes(text, n);
    hash_hex(hex, m->self);
    snprintf(want, sizeof want, TRAILER "%s\n", hex);
    if (n == 0 || memcmp(text + n, want, TRAILER_BYTES) != 0)
        return fail(ERR_DATA, "%s: damaged: its hash is not that of its content", path);
    root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = root ? parse(m, root) : "not JSON";
    json_decref(root);
    if (!wrong) return OK;
    manifest_done(m);
    return fail(ERR_DATA, "%s: %s", path, wrong);
}

int manifest_read(struct manifest *m, const char *path)
{
    char *text = NULL;
    size_t bytes = 0;
    int rc = OK;

    *m = (struct manifest){ 0 };
    TRY(file_slurp(&text, &bytes, path, MANIFEST_BYTES));
    TRY(manifest_parse(m, text, bytes, path));
out:
    mem_free(text);
    return rc;
}

void manifest_done(struct manifest *m)
{
    mem_free(m->tensors);
    mem_free(m->files);
    json_decref(m->scalars);
    json_decref(m->info);
    *m = (struct manifest){ 0 };
}
