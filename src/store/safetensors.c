/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/weight_kind.h"

#define HEADER_CAP ((int64_t)100 << 20)  /* the limit of the reference implementation */
#define CHUNK ((int64_t)1 << 16)         /* elements converted at a time               */
#define METADATA "__metadata__"

struct entry { struct tensor t; int64_t begin, end; };  /* bytes of the data part */

struct safetensors {
    char         *path;
    int           fd;
    int64_t       data;    /* where the data part starts in the file */
    int           count;
    struct entry *e;       /* (count) by begin                       */
    json_t       *index;   /* name -> number                         */
};

/* One member of the header's object -> entry. */
static int parse_entry(struct entry *e, const char *name, const json_t *v, const char *path)
{
    const json_t *offsets = json_object_get(v, "data_offsets");
    const char *wrong = tensor_parse(&e->t, name, json_object_get(v, "dtype"),
                                     json_object_get(v, "shape"));

    if (!wrong && json_object_size(v) != 3)
        wrong = "it has other members than dtype, shape, data_offsets";
    if (!wrong && (json_array_size(offsets) != 2 || !json_is_integer(json_array_get(offsets, 0)) ||
                   !json_is_integer(json_array_get(offsets, 1))))
        wrong = "its data_offsets are not two numbers";
    if (wrong) return fail(ERR_DATA, "%s: header: tensor '%.300s': %s", path, name, wrong);
    e->begin = json_integer_value(json_array_get(offsets, 0));
    e->end = json_integer_value(json_array_get(offsets, 1));
    if (e->begin < 0 || e->end < e->begin || e->end - e->begin != tensor_bytes(&e->t))
        return fail(ERR_DATA,
                    "%s: header: tensor '%s': offsets %lld to %lld, but shape and dtype need "
                    "%lld bytes", path, name, (long long)e->begin, (long long)e->end,
                    (long long)tensor_bytes(&e->t));
    return OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* No byte of the data part belongs to two tensors or to none. */
static int check_layout(const struct safetensors *s, int64_t data_bytes)
{
    int64_t end = 0;
    for (int i = 0; i < s->count; i++) {
        if (s->e[i].begin != end)
            return fail(ERR_DATA, "%s: header: tensor '%s' starts at byte %lld of the data, not "
                        "at %lld", s->path, s->e[i].t.name, (long long)s->e[i].begin,
                        (long long)end);
        end = s->e[i].end;
    }
    if (end != data_bytes)
        return fail(ERR_DATA, "%s: %lld bytes of data, but the header describes %lld", s->path,
                    (long long)data_bytes, (long long)end);
    return OK;
}

static int parse_header(struct safetensors *s, const char *text, size_t n)
{
    json_error_t error;
    json_t *root = *text == '{' ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &error) : NULL;
    const char *name;
    json_t *v;
    int rc = OK;

    if (!root)
        return fail(ERR_DATA, "%s: header is not a JSON object%s%s", s->path,
                    *text == '{' ? ": " : "", *text == '{' ? error.text : "");
    if (json_object_size(root) > TENSOR_COUNT)
        TRY(fail(ERR_DATA, "%s: header: %zu tensors, at most %d are allowed", s->path,
                 json_object_size(root), TENSOR_COUNT));
    s->e = mem_new((int64_t)json_object_size(root), sizeof *s->e, "safetensors header");
    json_object_foreach(root, name, v) {
        if (!strcmp(name, METADATA)) continue;
        TRY(parse_entry(&s->e[s->count], name, v, s->path));
        s->count++;
    }
    qsort(s->e, (size_t)s->count, sizeof *s->e, by_begin);
    for (int i = 0; i < s->count; i++)
        json_object_set_new(s->index, s->e[i].t.name, json_integer(i));
out:
    json_decref(root);
    return rc;
}

int safetensors_open(struct safetensors **out, const char *path)
{
    struct safetensors *s = mem_new(1, sizeof *s, "safetensors");
    unsigned char head[8];
    char *text = NULL;
    int64_t size = 0;
    int rc = OK;

    s->fd = -1;
    s->path = mem_string(path);
    s->index = json_object();
    TRY(file_open(&s->fd, &size, path));
    TRY(weight_kind_file(path));
    TRY(size < 8 ? fail(ERR_DATA, "%s: %lld bytes are no safetensors file", path, (long long)size)
                 : file_read_at(s->fd, head, sizeof head, 0, path));
    const uint64_t n = get_u64(head);
    if (n < 2 || n > (uint64_t)HEADER_CAP || n > (uint64_t)size - 8)
        TRY(fail(ERR_DATA, "%s: header of %llu bytes in a file of %lld (at most %lld are allowed)",
                 path, (unsigned long long)n, (long long)size, (long long)HEADER_CAP));
    text = mem_new((int64_t)n + 1, 1, "safetensors header");
    TRY(file_read_at(s->fd, text, n, 8, path));
    TRY(parse_header(s, text, n));
    s->data = 8 + (int64_t)n;
    TRY(check_layout(s, size - s->data));
out:
    mem_free(text);
    if (rc != OK) {
        safetensors_close(s);
        s = NULL;
    }
    *out = s;
    return rc;
}

void safetensors_close(struct safetensors *s)
{
    if (!s) return;
    file_close(s->fd);
    json_decref(s->index);
    mem_free(s->path);
    mem_free(s->e);
    mem_free(s);
}

int safetensors_count(const struct safetensors *s) { return s->count; }

const struct tensor *safetensors_tensor(const struct safetensors *s, int i)
{
    check(i >= 0 && i < s->count);
    return &s->e[i].t;
}

int safetensors_find(const struct safetensors *s, const char *name)
{
    const json_t *i = json_object_get(s->index, name);
    return i ? (int)json_integer_value(i) : -1;
}

int safetensors_read(struct safetensors *s, int i, void *data)
{
    check(i >= 0 && i < s->count);
    return file_read_at(s->fd, data, (size_t)(s->e[i].end - s->e[i].begin),
                        s->data + s->e[i].begin, s->path);
}

enum target { TO_REAL, TO_F64, TO_I32 };

/* Tensor i through a small buffer, converted on the way. */
static int read_as(struct safetensors *s, int i, void *data, enum target to)
{
    const struct tensor *t = safetensors_tensor(s, i);
    const int64_t n = tensor_n(t), size = dtype_bytes(t->dtype);
    void *buffer = mem_new(n < CHUNK ? n : CHUNK, (size_t)size, "safetensors buffer");
    int rc = OK;

    for (int64_t at = 0; at < n && rc == OK; at += CHUNK) {
        const int64_t k = n - at < CHUNK ? n - at : CHUNK;
        TRY(file_read_at(s->fd, buffer, (size_t)(k * size), s->data + s->e[i].begin + at * size,
                         s->path));
        rc = to == TO_REAL  ? convert_to_real((real *)data + at, buffer, t->dtype, k)
             : to == TO_F64 ? convert_to_f64((double *)data + at, buffer, t->dtype, k)
                            : convert_to_i32((int32_t *)data + at, buffer, t->dtype, k);
        if (rc != OK)
            fail(rc, "%s: tensor '%s' of dtype %s can't be read as %s", s->path, t->name,
                 dtype_name(t->dtype), to == TO_I32 ? "32-bit integers" : "floating point");
    }
out:
    mem_free(buffer);
    return rc;
}

int safetensors_read_real(struct safetensors *s, int i, real *data)
{
    return read_as(s, i, data, TO_REAL);
}

int safetensors_read_f64(struct safetensors *s, int i, double *data)
{
    return read_as(s, i, data, TO_F64);
}

int safetensors_read_i32(struct safetensors *s, int i, int32_t *data)
{
    return read_as(s, i, data, TO_I32);
}

/* Length and header as they stand in the file: a counted block of *n bytes.  Padded
 * with spaces, so that the data starts on a multiple of 8.  The metadata is what
 * the readers of PyTorch insist on.  dtype: of all tensors; DT_COUNT: each its own. */
static char *make_header(size_t *n, const struct tensor *tensors, int count, enum dtype dtype)
{
    json_t *root = json_pack("{s:{s:s}}", METADATA, "format", "pt");
    int64_t at = 0;

    for (int i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i];
        json_t *shape = json_array();
        for (int d = 0; d < t->ndim; d++) json_array_append_new(shape, json_integer(t->shape[d]));
        const enum dtype type = dtype == DT_COUNT ? t->dtype : dtype;
        const int64_t end = at + tensor_n(t) * dtype_bytes(type);
        json_t *v = json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtype_name(type), "shape", shape,
                              "data_offsets", (json_int_t)at, (json_int_t)end);
        check(v && !json_object_get(root, t->name));
        check(json_object_set_new(root, t->name, v) == 0);
        at = end;
    }
    char *text = json_dumps(root, JSON_COMPACT);
    check(text);
    const size_t len = strlen(text), padded = (len + 7) / 8 * 8;
    char *block = mem_format("%8s%s%*s", "", text, (int)(padded - len), "");
    put_u64(block, padded);
    *n = 8 + padded;
    free(text);
    json_decref(root);
    return block;
}

/* The data of a tensor of reals, converted. */
static int write_as(int fd, const struct tensor *t, enum dtype dtype, void *buffer,
                    const char *path)
{
    const int64_t n = tensor_n(t);
    int rc = OK;

    check(t->dtype == DT_REAL);
    for (int64_t at = 0; at < n && rc == OK; at += CHUNK) {
        const int64_t k = n - at < CHUNK ? n - at : CHUNK;
        check(convert_reals(buffer, dtype, (const real *)t->data + at, k) == OK);
        rc = file_write(fd, buffer, (size_t)(k * dtype_bytes(dtype)), path);
    }
    return rc;
}

/* dtype DT_COUNT: as the tensors are. */
static int save(const char *path, const struct tensor *tensors, int count, enum dtype dtype)
{
    char *tmp = file_tmp(path);
    void *buffer = mem_new(CHUNK, sizeof(double), "safetensors buffer");
    size_t n = 0;
    char *header = make_header(&n, tensors, count, dtype);
    int fd = -1, rc = OK;

    TRY(file_temporary(&fd, tmp));
    rc = file_write(fd, header, n, tmp);
    for (int i = 0; i < count && rc == OK; i++)
        rc = dtype == DT_COUNT || dtype == tensors[i].dtype
                 ? file_write(fd, tensors[i].data, (size_t)tensor_bytes(&tensors[i]), tmp)
                 : write_as(fd, &tensors[i], dtype, buffer, tmp);
    rc = file_commit(fd, rc, tmp, path);
out:
    mem_free(tmp);
    mem_free(header);
    mem_free(buffer);
    return rc;
}

int safetensors_save(const char *path, const struct tensor *tensors, int count)
{
    return save(path, tensors, count, DT_COUNT);
}

int safetensors_save_as(const char *path, const struct tensor *tensors, int count,
                        enum dtype dtype)
{
    return save(path, tensors, count, dtype);
}
