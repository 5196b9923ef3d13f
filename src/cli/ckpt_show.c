/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_show.c -- what a checkpoint holds, and whether its weights look trained: an
 * export gone wrong is seen here before anybody evaluates it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/ckpt_cmd.h"
#include "src/model/model.h"
#include "src/store/ckpt.h"
#include "src/store/dims_json.h"
#include "src/store/json_name.h"
#include "src/store/tensor_stats.h"

const char *ckpt_time(char text[CKPT_TIME], const struct ckpt *c)
{
    const time_t t = (time_t)ckpt_created(c);
    struct tm utc;
    if (!gmtime_r(&t, &utc) || !strftime(text, CKPT_TIME, "%Y-%m-%d %H:%M:%S", &utc))
        snprintf(text, CKPT_TIME, "-");
    return text;
}

#define INIT_STD 0.02  /* where a checkpoint does not say what its model is */

struct judged { int tensors, untrained, unclear; int64_t parameters, bad; };

static int is_parameter(const struct tensor *t) { return !strchr(t->name, '/'); }

static const char *verdict(const struct judged *j)
{
    if (j->bad) return "holds values that are not finite";
    if (j->untrained && j->untrained + j->unclear == j->tensors) return "looks untrained";
    return "looks trained";
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *stats_json(const struct tensor *t, const struct tensor_stats *s, int untrained)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->ndim; d++) json_array_append_new(shape, json_integer(t->shape[d]));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:b}", "name", t->name, "dtype",
                     dtype_name(t->dtype), "shape", shape, "mean", number(s->mean), "std",
                     number(s->std), "min", number(s->min), "max", number(s->max), "norm",
                     number(s->norm), "not_finite", (json_int_t)s->bad, "looks_untrained",
                     untrained);
}

static void stats_line(const struct tensor *t, const struct tensor_stats *s, int untrained)
{
    char shape[TENSOR_SHAPE_TEXT];
    printf("%-58s %-5s %-16s %11.4g %11.4g %11.4g %11.4g %11.4g%s", text_visible(t->name),
           dtype_name(t->dtype),
           tensor_shape_text(shape, t->ndim, t->shape), s->mean, s->std, s->min, s->max, s->norm,
           untrained ? "  looks untrained" : "");
    if (s->bad) printf("  %" PRId64 " NOT FINITE", s->bad);
    putchar('\n');
}

/* Standard deviation that a parameter of the model had at first. */
static double initial_std(const struct param_table *table, const char *name)
{
    const int k = param_find(table, name);
    if (k < 0) return INIT_STD;
    const struct param *p = &table->p[k];
    return p->init == INIT_UNIFORM ? p->init_arg / sqrt(3) : p->init_arg;
}

static int read_stats(struct tensor_stats *s, struct ckpt *c, int i)
{
    struct tensor t = *ckpt_tensor(c, i);
    t.data = mem_new(tensor_bytes(&t), 1, t.name);
    const int rc = ckpt_read(c, i, t.data);
    if (rc == OK) tensor_stats(s, &t);
    mem_free(t.data);
    return rc;
}

/* Every tensor that is wanted; rows [out] for JSON, else lines are printed. */
static int each_tensor(struct judged *j, json_t *rows, struct ckpt *c, int all)
{
    struct param_table table = { 0 };
    struct dims d;
    int rc = OK;

    /* A model of a newer program is shown, too, only less is known about it. */
    if (json_object_get(ckpt_info(c), "model") &&
        dims_of_info(&d, ckpt_info(c), ckpt_path(c)) == OK)
        (void)model_layout(&table, &d);
    for (int i = 0; i < ckpt_count(c); i++) {
        const struct tensor t = *ckpt_tensor(c, i);
        struct tensor_stats s;
        if (!all && !is_parameter(&t)) continue;
        TRY(read_stats(&s, c, i));
        const int untrained = tensor_looks_untrained(&s, initial_std(&table, t.name));
        j->bad += s.bad;
        if (is_parameter(&t)) {
            j->tensors++;
            j->untrained += untrained > 0;
            j->unclear += untrained < 0;
            j->parameters += s.n;
        }
        const int said = is_parameter(&t) && untrained > 0;
        if (rows) json_array_append_new(rows, stats_json(&t, &s, said));
        else stats_line(&t, &s, said);
    }
out:
    param_done(&table);
    return rc;
}

static void print_json(json_t *j)
{
    char *text = json_dumps(j, JSON_INDENT(2));
    check(text);
    puts(text);
    free(text);
}

static int show_json(struct ckpt *c, const char *root, int all)
{
    struct judged judged = { 0 };
    json_t *rows = json_array();
    const int rc = each_tensor(&judged, rows, c, all);
    json_t *j = json_pack("{s:o, s:I, s:I, s:I, s:I, s:s, s:O, s:O, s:s, s:I, s:i, s:i, s:o}",
                          "path", json_name(ckpt_path(c)), "step", (json_int_t)ckpt_step(c),
                          "attempt", (json_int_t)ckpt_attempt(c),
                          "created", (json_int_t)ckpt_created(c),
                          "bytes", (json_int_t)ckpt_bytes(c), "root", root,
                          "scalars", ckpt_scalars(c), "info", ckpt_info(c),
                          "verdict", verdict(&judged), "parameters", (json_int_t)judged.parameters,
                          "parameter_tensors", judged.tensors,
                          "untrained_tensors", judged.untrained, "tensors", rows);
    if (rc == OK) print_json(j);
    json_decref(j);
    return rc;
}

/* Texts of several lines (the configuration) are for --json. */
static void print_object(const char *title, const json_t *object)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        if (text && strlen(text) <= 400)
            printf("%s.%s: %s\n", title, text_visible(key), text_visible(text));
        else printf("%s.%s: (%zu characters, see --json)\n", title, text_visible(key),
                    text ? strlen(text) : 0);
        free(text);
    }
}

static int show_text(struct ckpt *c, const char *root, int all)
{
    struct judged judged = { 0 };
    char size[HUMAN_TEXT], when[CKPT_TIME];

    printf("%s\nstep %" PRId64 ", attempt %" PRId64 ", %s, saved %s UTC\nstate root %s\n",
           text_visible(ckpt_path(c)), ckpt_step(c), ckpt_attempt(c),
           human_bytes(size, ckpt_bytes(c)), ckpt_time(when, c), root);
    print_object("scalars", ckpt_scalars(c));
    print_object("info", ckpt_info(c));
    printf("\n%-58s %-5s %-16s %11s %11s %11s %11s %11s\n", "tensor", "dtype", "shape", "mean",
           "std", "min", "max", "norm");
    const int rc = each_tensor(&judged, NULL, c, all);
    if (rc != OK) return rc;
    printf("\n%" PRId64 " parameters in %d tensors, %d of which look untrained: the model %s\n",
           judged.parameters, judged.tensors, judged.untrained, verdict(&judged));
    if (!all && ckpt_count(c) > judged.tensors)
        printf("%d more tensors are the optimizer's (--all)\n", ckpt_count(c) - judged.tensors);
    return OK;
}

int ckpt_show(const char *path, int json, int all)
{
    struct ckpt *c = NULL;
    char root[HASH_HEX];
    int rc = ckpt_locate(&c, path);

    if (rc == OK) {
        hash_hex(root, ckpt_root(c));
        rc = json ? show_json(c, root, all) : show_text(c, root, all);
    }
    ckpt_close(c);
    return rc;
}
