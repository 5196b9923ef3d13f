/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_diff.c -- how two training states differ: which counters, which tensors, by how
 * much, and where first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/ckpt_cmd.h"
#include "src/store/ckpt.h"
#include "src/store/dims_json.h"
#include "src/store/tensor_stats.h"

/* Findings go to a JSON list or, if there is none, are printed as lines. */
struct report { json_t *list; int64_t tensors, scalars; };

static void note(struct report *r, const char *name, const char *what)
{
    r->tensors++;
    if (r->list)
        json_array_append_new(r->list, json_pack("{s:s, s:s}", "name", name, "difference", what));
    else printf("%-58s %s\n", text_visible(name), text_visible(what));
}

static void note_values(struct report *r, const struct tensor *t, const struct tensor_diff *d)
{
    char where[TENSOR_SHAPE_TEXT];
    tensor_place_text(where, t->ndim, t->shape, d->first);
    r->tensors++;
    if (r->list)
        json_array_append_new(
            r->list, json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:s}", "name", t->name, "difference",
                               "values", "elements", (json_int_t)tensor_n(t), "differ",
                               (json_int_t)d->differ, "max_abs", d->max_abs, "rms", d->rms, "first",
                               where));
    else
        printf("%-58s %" PRId64 " of %" PRId64 " differ, max %.4g, rms %.4g, first at %s\n",
               text_visible(t->name), d->differ, tensor_n(t), d->max_abs, d->rms, where);
}

/* Tensor i of a against tensor k of b. */
static int compare_values(struct report *r, struct ckpt *a, int i, struct ckpt *b, int k)
{
    struct tensor x = *ckpt_tensor(a, i), y = *ckpt_tensor(b, k);
    struct tensor_diff d;
    int rc = OK;

    x.data = mem_new(tensor_bytes(&x), 1, x.name);
    y.data = mem_new(tensor_bytes(&y), 1, y.name);
    TRY(ckpt_read(a, i, x.data));
    TRY(ckpt_read(b, k, y.data));
    tensor_diff(&d, &x, &y);
    if (d.differ) note_values(r, &x, &d);
out:
    mem_free(x.data);
    mem_free(y.data);
    return rc;
}

static int compare_tensors(struct report *r, struct ckpt *a, struct ckpt *b)
{
    int rc = OK;

    for (int i = 0; i < ckpt_count(a) && rc == OK; i++) {
        const struct tensor *x = ckpt_tensor(a, i);
        const int k = ckpt_find(b, x->name);
        const struct tensor *y = k < 0 ? NULL : ckpt_tensor(b, k);
        char p[TENSOR_SHAPE_TEXT], q[TENSOR_SHAPE_TEXT];
        if (!y) {
            note(r, x->name, "only in the first");
        } else if (x->dtype != y->dtype || !tensor_same_shape(x, y)) {
            char *what = mem_format("%s %s and %s %s", dtype_name(x->dtype),
                                    tensor_shape_text(p, x->ndim, x->shape), dtype_name(y->dtype),
                                    tensor_shape_text(q, y->ndim, y->shape));
            note(r, x->name, what);
            mem_free(what);
        } else {
            rc = compare_values(r, a, i, b, k);
        }
    }
    for (int k = 0; k < ckpt_count(b) && rc == OK; k++)
        if (ckpt_find(a, ckpt_tensor(b, k)->name) < 0)
            note(r, ckpt_tensor(b, k)->name, "only in the second");
    return rc;
}

static void note_scalar(struct report *r, json_t *scalars, const char *key, const json_t *x,
                        const json_t *y)
{
    char *p = x ? json_dumps(x, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *q = y ? json_dumps(y, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    r->scalars++;
    if (scalars)
        json_object_set_new(scalars, key, json_pack("[s?, s?]", p, q));
    else
        printf("%-58s %s and %s\n", text_visible(key), text_visible(p ? p : "absent"),
               text_visible(q ? q : "absent"));
    free(p);
    free(q);
}

/* Members of two objects; prefix: of their names. */
static void compare_objects(struct report *r, json_t *scalars, const char *prefix,
                            json_t *x, json_t *y)
{
    char name[128];
    const char *key;
    json_t *v;

    json_object_foreach(x, key, v) {
        const json_t *other = json_object_get(y, key);
        snprintf(name, sizeof name, "%s%s", prefix, key);
        if (!other || !json_equal(v, other)) note_scalar(r, scalars, name, v, other);
    }
    json_object_foreach(y, key, v) {
        snprintf(name, sizeof name, "%s%s", prefix, key);
        if (!json_object_get(x, key)) note_scalar(r, scalars, name, NULL, v);
    }
}

/* What the model is, or NULL: equal weights are not yet equal models. */
static json_t *model_of(const struct ckpt *c)
{
    struct dims d;

    if (!json_object_get(ckpt_info(c), "model")) return NULL;
    if (dims_of_info(&d, ckpt_info(c), ckpt_path(c)) != OK) return NULL;
    d.init_std = 0;  /* of the initial weights */
    return dims_json(&d);
}

static void compare_models(struct report *r, json_t *scalars, const struct ckpt *a,
                           const struct ckpt *b)
{
    json_t *x = model_of(a), *y = model_of(b);

    if (x && y) compare_objects(r, scalars, "model.", x, y);
    json_decref(x);
    json_decref(y);
}

static void print_json(struct report *r, json_t *scalars, const char *a, const char *b)
{
    json_t *j = json_pack("{s:b, s:[s,s], s:O, s:O}", "equal", !r->tensors && !r->scalars,
                          "roots", a, b, "scalars", scalars, "tensors", r->list);
    char *text = json_dumps(j, JSON_INDENT(2));
    check(text);
    puts(text);
    free(text);
    json_decref(j);
}

int ckpt_compare(const char *path_a, const char *path_b, int json)
{
    struct report r = { .list = json ? json_array() : NULL };
    json_t *scalars = json ? json_object() : NULL;
    struct ckpt *a = NULL, *b = NULL;
    char root_a[HASH_HEX], root_b[HASH_HEX];
    int rc = OK;

    TRY(ckpt_locate(&a, path_a));
    TRY(ckpt_locate(&b, path_b));
    hash_hex(root_a, ckpt_root(a));
    hash_hex(root_b, ckpt_root(b));
    compare_models(&r, scalars, a, b);
    if (!hash_equal(ckpt_root(a), ckpt_root(b))) {
        compare_objects(&r, scalars, "", (json_t *)ckpt_scalars(a), (json_t *)ckpt_scalars(b));
        TRY(compare_tensors(&r, a, b));
    }
    if (json) print_json(&r, scalars, root_a, root_b);
    else if (!r.tensors && !r.scalars) printf("equal: state root %s\n", root_a);
    else printf("\n%" PRId64 " scalars and %" PRId64 " tensors differ\n", r.scalars, r.tensors);
    if (r.tensors || r.scalars) rc = CKPT_DIFFER;
out:
    ckpt_close(a);
    ckpt_close(b);
    json_decref(r.list);
    json_decref(scalars);
    return rc;
}
