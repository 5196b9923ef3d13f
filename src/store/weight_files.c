/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/weight_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text_file.h"
#include "src/store/weight_kind.h"

#define SINGLE "model.safetensors"
#define INDEX SINGLE ".index.json"
#define INDEX_CAP ((size_t)64 << 20)
#define MOST_FILES 512  /* open at once */

struct weight_files {
    int                  files;
    struct safetensors **file;   /* (files)                              */
    int                 *first;  /* (files + 1) number of its first tensor */
};

/* --- reading ---------------------------------------------------------------- */

static int read_index(json_t **index, const char *path)
{
    json_error_t error;
    char *text = NULL;
    size_t n = 0;
    int rc = OK;

    TRY(text_file_read(&text, &n, path, INDEX_CAP));
    *index = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!*index) TRY(fail(ERR_DATA, "%s:%d:%d: %s", path, error.line, error.column, error.text));
    const json_t *map = json_object_get(*index, "weight_map");
    if (!json_is_object(map) || !json_object_size(map) || json_object_size(map) > TENSOR_COUNT)
        TRY(fail(ERR_DATA, "%s: weight_map must be an object of 1 to %d names", path,
                 TENSOR_COUNT));
out:
    mem_free(text);
    return rc;
}

/* A file of the folder itself. */
static int is_plain_name(const char *name)
{
    if (!name || !*name || *name == '.' || strlen(name) >= TENSOR_NAME) return 0;
    for (const char *p = name; *p; p++)
        if (*p == '/' || (unsigned char)*p < ' ' || *p == 127) return 0;
    return 1;
}

/* Number of a file among names[0, *n), added if it is new; -1: too many. */
static int file_number(const char **names, int *n, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (!strcmp(names[i], name)) return i;
    if (*n == MOST_FILES) return -1;
    names[*n] = name;
    return (*n)++;
}

static int open_file(struct weight_files *w, const char *folder, const char *name)
{
    char *path = mem_format("%s/%s", folder, name);
    const int rc = safetensors_open(&w->file[w->files], path);

    if (rc == OK) {
        w->first[w->files + 1] = w->first[w->files] + safetensors_count(w->file[w->files]);
        w->files++;
    }
    mem_free(path);
    return rc;
}

/* Every tensor of the index is in its file, and nothing else is in the files. */
static int check_map(const struct weight_files *w, const char **names, const json_t *map,
                     const char *path)
{
    for (int f = 0; f < w->files; f++)
        for (int i = 0; i < safetensors_count(w->file[f]); i++) {
            const char *name = safetensors_tensor(w->file[f], i)->name;
            const char *where = json_string_value(json_object_get(map, name));
            if (!where || strcmp(where, names[f]) != 0)
                return fail(ERR_DATA, "%s: tensor '%s' is in %s, the index says %s", path, name,
                            names[f], where ? where : "nothing of it");
        }
    if ((size_t)w->first[w->files] == json_object_size(map)) return OK;
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)map, name, v)
        if (weight_files_find(w, name) < 0)
            return fail(ERR_DATA, "%s: tensor '%.255s' is not in %s", path, name,
                        json_string_value(v));
    return OK;
}

static int open_several(struct weight_files *w, const char *folder, const char *path)
{
    const char *names[MOST_FILES], *name;
    json_t *index = NULL, *v;
    int n = 0, rc = OK;

    TRY(read_index(&index, path));
    json_t *map = json_object_get(index, "weight_map");
    json_object_foreach(map, name, v) {
        if (!is_plain_name(json_string_value(v)))
            TRY(fail(ERR_DATA, "%s: the file of '%.255s' must be a name without a folder", path,
                     name));
        if (file_number(names, &n, json_string_value(v)) < 0)
            TRY(fail(ERR_DATA, "%s: names more than %d files", path, MOST_FILES));
    }
    for (int i = 0; i < n; i++) TRY(open_file(w, folder, names[i]));
    TRY(check_map(w, names, map, path));
out:
    json_decref(index);
    return rc;
}

/* One file and an index of others: which are the model?  As other programs do, the one is read. */
static int tell_both(const char *folder, const char *path)
{
    static char told[256];  /* a command opens a model more than once */
    json_t *index = NULL, *v;
    const char *name;
    int others = 0, rc = OK;

    TRY(read_index(&index, path));
    json_object_foreach(json_object_get(index, "weight_map"), name, v)
        if (!json_is_string(v) || strcmp(json_string_value(v), SINGLE) != 0) others = 1;
    if (others && strncmp(told, folder, sizeof told - 1) != 0)
        log_warn("%s: " SINGLE " is read, and the files that " INDEX " names are ignored", folder);
    snprintf(told, sizeof told, "%s", folder);
out:
    json_decref(index);
    return rc;
}

int weight_files_open(struct weight_files **out, const char *folder)
{
    char *single = mem_format("%s/" SINGLE, folder), *index = mem_format("%s/" INDEX, folder);
    struct weight_files *w = mem_new(1, sizeof *w, "weight files");
    int rc = OK;

    w->file = mem_new(MOST_FILES, sizeof(struct safetensors *), "weight files");
    w->first = mem_new(MOST_FILES + 1, sizeof *w->first, "weight files");
    if (path_exists(single) && path_exists(index)) rc = tell_both(folder, index);
    else if (!path_exists(single) && !path_exists(index)) rc = weight_kind_folder(folder);
    if (rc == OK)
        rc = path_exists(single) || !path_exists(index) ? open_file(w, folder, SINGLE)
                                                        : open_several(w, folder, index);
    if (rc != OK) {
        weight_files_close(w);
        w = NULL;
    }
    *out = w;
    mem_free(single);
    mem_free(index);
    return rc;
}

void weight_files_close(struct weight_files *w)
{
    if (!w) return;
    for (int i = 0; i < w->files; i++) safetensors_close(w->file[i]);
    mem_free(w->file);
    mem_free(w->first);
    mem_free(w);
}

/* File of tensor i, which becomes its number there. */
static struct safetensors *file_of(const struct weight_files *w, int *i)
{
    int f = 0;
    check(*i >= 0 && *i < w->first[w->files]);
    while (*i >= w->first[f + 1]) f++;
    *i -= w->first[f];
    return w->file[f];
}

int weight_files_count(const struct weight_files *w) { return w->first[w->files]; }

const struct tensor *weight_files_tensor(const struct weight_files *w, int i)
{
    const struct safetensors *s = file_of(w, &i);
    return safetensors_tensor(s, i);
}

int weight_files_find(const struct weight_files *w, const char *name)
{
    for (int f = 0; f < w->files; f++) {
        const int i = safetensors_find(w->file[f], name);
        if (i >= 0) return w->first[f] + i;
    }
    return -1;
}

int weight_files_read(struct weight_files *w, int i, void *data)
{
    struct safetensors *s = file_of(w, &i);
    return safetensors_read(s, i, data);
}

int weight_files_read_real(struct weight_files *w, int i, real *data)
{
    struct safetensors *s = file_of(w, &i);
    return safetensors_read_real(s, i, data);
}

/* --- writing ---------------------------------------------------------------- */

int weight_files_exist(const char *folder)
{
    char *single = mem_format("%s/" SINGLE, folder), *index = mem_format("%s/" INDEX, folder);
    const int found = path_exists(single) || path_exists(index);
    mem_free(single);
    mem_free(index);
    return found;
}

/* Tensors that go into one file with the first of list[0, count): at least one. */
static int fitting(const struct tensor *list, int count, enum dtype dtype, int64_t most)
{
    int64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += tensor_n(&list[i]) * dtype_bytes(dtype);
        if (i > 0 && bytes > most) return i;
    }
    return count;
}

static int save_index(const char *folder, json_t *map, int64_t bytes)
{
    char *path = mem_format("%s/" INDEX, folder);
    json_t *index = json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)bytes,
                              "weight_map", map);
    char *text = json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS);

    check(text);
    const int rc = file_replace(path, text, strlen(text));
    free(text);
    json_decref(index);
    mem_free(path);
    return rc;
}

static int save_several(const char *folder, const struct tensor *list, int count,
                        enum dtype dtype, int64_t most, int files)
{
    json_t *map = json_object();
    int64_t bytes = 0;
    int rc = OK, from = 0;

    for (int f = 1; f <= files && rc == OK; f++) {
        const int n = fitting(list + from, count - from, dtype, most);
        char *path = mem_format("%s/model-%05d-of-%05d.safetensors", folder, f, files);
        rc = safetensors_save_as(path, list + from, n, dtype);
        for (int i = from; i < from + n; i++) {
            json_object_set_new(map, list[i].name, json_string(strrchr(path, '/') + 1));
            bytes += tensor_n(&list[i]) * dtype_bytes(dtype);
        }
        from += n;
        mem_free(path);
    }
    if (rc == OK) rc = save_index(folder, map, bytes);
    json_decref(map);
    return rc;
}

int weight_files_save(const char *folder, const struct tensor *list, int count, enum dtype dtype,
                      int64_t most)
{
    int files = 0;

    if (!most) most = INT64_MAX;
    for (int i = 0; i < count; files++) i += fitting(list + i, count - i, dtype, most);
    if (files > MOST_FILES)
        return fail(ERR_USAGE, "files of at most %lld bytes would be %d; %d are allowed",
                    (long long)most, files, MOST_FILES);
    if (files > 1) return save_several(folder, list, count, dtype, most, files);
    char *path = mem_format("%s/" SINGLE, folder);
    const int rc = safetensors_save_as(path, list, count, dtype);
    mem_free(path);
    return rc;
}
