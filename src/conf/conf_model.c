/* SPDX-License-Identifier: Apache-2.0 */
#include "src/conf/conf_model.h"

#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/conf/conf_reader.h"
#include "src/layers/dims_table.h"
#include "src/layers/pattern.h"

static int number_of(const char *path)
{
    const int i = conf_find(&conf_run, path);
    check(i >= 0);
    return i;
}

void conf_dims_given(const struct conf *c, struct dims *d)
{
    const struct dim *row;

    memset(d, 0, sizeof *d);
    for (int i = 0; (row = dims_row(i)); i++) {
        if (!row->key) continue;
        const void *from = (const char *)c + conf_keys[number_of(row->key)].offset;
        if (row->type != DIM_PART) memcpy(dims_at(d, row), from, row->size);
        else if (!*(const int *)from) d->without |= row->part;
    }
    if (d->F < 0) d->F = 0;
}

void conf_dims(const struct conf *c, struct dims *d)
{
    struct pattern p;

    conf_dims_given(c, d);
    check(pattern_of(&p, d->layer) == OK);
    pattern_trim(&p, d);
}

/* --- one row of a model ------------------------------------------------------------ */

static int says(const struct dim *row, const struct dims *d)
{
    return row->key && row->use != USE_OURS && (!row->of || row->of & dims_of(d));
}

/* A whole number of the model; where 0 stands for what follows from others, that.  Nobody has
 * checked the dims of a file yet. */
static int whole(const struct dim *row, const struct dims *d)
{
    if (row->at == offsetof(struct dims, Hkv)) return head_groups(d);
    if (row->at == offsetof(struct dims, F) && !d->F) return d->H > 0 ? d->C / d->H : 0;
    return *(const int *)dims_get(d, row);
}

/* The model's value as it would be written in a configuration. */
#define VALUE (PATTERN_TEXT + 2)
static void model_value(char out[VALUE], const struct dim *row, const struct dims *d)
{
    const struct conf_key *k = &conf_keys[number_of(row->key)];
    const void *v = dims_get(d, row);
    int names = 0;

    while (k->type == CONF_ENUM && k->names[names]) names++;
    if (row->type == DIM_LAYERS)
        snprintf(out, VALUE, pattern_is_list(v) ? "[%s]" : "%s", (const char *)v);
    else if (row->type == DIM_NUMBER) text_of_double(out, *(const double *)v);
    else if (row->type == DIM_PART) strcpy(out, d->without & row->part ? "false" : "true");
    else if (k->type == CONF_BOOL) strcpy(out, whole(row, d) ? "true" : "false");
    else if (whole(row, d) >= 0 && whole(row, d) < names)
        snprintf(out, VALUE, "%s", k->names[whole(row, d)]);
    else snprintf(out, VALUE, "%d", whole(row, d));
}

/* Is a key in train.init_change? */
static int asked(const struct conf *c, const char *key)
{
    const size_t n = strlen(key);

    for (const char *p = c->train.init_change; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (strcspn(p, "\n") == n && !strncmp(p, key, n)) return 1;
    return 0;
}

/* ", key value" after text, as far as there is room. */
static void add_text(char *text, size_t room, const char *key, const char *value)
{
    const size_t used = strlen(text);
    snprintf(text + used, room - used, "%s%s %s", used ? ", " : "", key, value);
}

/* --- train.init_change --------------------------------------------------------------- */

/* With the same weights?  d NULL: of any model. */
static int can_change(const struct dim *row, const struct dims *d)
{
    if (!d) return row->use < USE_SHAPE;
    return row->use == USE_FUNCTION || (row->use == USE_PER_HEAD && !(dims_of(d) & OF_INNER)) ||
           (row->use == USE_PER_TOKEN && d->without & WITHOUT_TOKEN_IDX);
}

/* Names must be those of keys that can be another one's, and have a value here. */
static void check_changes(struct conf_reader *r)
{
    const struct conf *c = r->values;
    const int list = number_of("train.init_change");
    char key[64];

    for (const char *p = c->train.init_change; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(p, "\n"), p);
        const struct dim *row = dims_key(key), *other;
        struct nearest n = { .to = key };
        for (int i = 0; (other = dims_row(i)); i++)
            if (other->key && can_change(other, NULL)) nearest_try(&n, other->key);
        if (!row || !can_change(row, NULL))
            conf_complain(r, r->where[list], "train.init_change",
                          "expected keys of the model that change no shape of weights, found '%s'"
                          "%s%s%s", key, !row && n.best ? " (did you mean " : "",
                          !row && n.best ? n.best : "", !row && n.best ? "?)" : "");
        else if (!r->where[number_of(key)].line)
            conf_complain(r, r->where[list], "train.init_change",
                          "expected keys that are given, found %s, which has no value here", key);
    }
}

/* --- taking --------------------------------------------------------------------------- */

/* Where a key was given a value of its own; line 0: nowhere.  A backbone gives its switches. */
static struct conf_place given(struct conf_reader *r, const struct dim *row)
{
    struct conf *c = r->values;
    const int i = number_of(row->key), backbone = number_of("model.backbone");
    const struct conf_key *k = &conf_keys[i];
    char text[3 * CONF_PATH];

    if (strcmp(conf_show(text, sizeof text, c, k), "auto") != 0) return r->where[i];
    if (k->type != CONF_BOOL || !r->where[backbone].line) return (struct conf_place){ .line = 0 };
    *(int *)conf_at(c, k) = c->model.backbone == BACKBONE_MAMBA;
    return r->where[backbone];
}

/* The model's value becomes the key's; returns 0 if it is none of this key. */
static int take(struct conf *c, const struct dim *row, const struct conf_key *k,
                const struct dims *d, const char *theirs)
{
    if (row->type != DIM_LAYERS) return conf_store(c, k, theirs, 1);
    memcpy(conf_at(c, k), dims_get(d, row), k->size);
    return 1;
}

/* compare: a value that differs is a mistake, or named as a change. */
static void adopt_row(struct conf_reader *r, const struct dim *row, const struct dims *d,
                      int compare)
{
    struct conf *c = r->values;
    const int i = number_of(row->key);
    const struct conf_key *k = &conf_keys[i];
    const char *leaf = strchr(row->key, '.') + 1;
    char theirs[VALUE], ours[3 * CONF_PATH], both[2 * CONF_PATH];

    if (r->bad[i]) return;
    const struct conf_place at = given(r, row);
    model_value(theirs, row, d);
    conf_show(ours, sizeof ours, c, k);
    if (!strcmp(ours, theirs)) return;
    if (!at.line) {
        if (take(c, row, k, d, theirs))
            add_text(c->start.taken, sizeof c->start.taken, leaf, theirs);
        else conf_complain(r, r->where[number_of("train.init_from")], row->key,
                           "expected a value of this key, the model %s has %s", c->start.from,
                           theirs);
    } else if (compare && can_change(row, d) && asked(c, row->key)) {
        snprintf(both, sizeof both, "%.100s, the model's is %s", ours, theirs);
        add_text(c->start.changed, sizeof c->start.changed, leaf, both);
    } else if (compare && row->use != USE_START) {
        conf_complain(r, at, row->key, "expected %s, as the model %s has it, found %.100s%s%s%s",
                      theirs, c->start.from, ours,
                      can_change(row, d) ? " (to change it: train.init_change: [" : "",
                      can_change(row, d) ? row->key : "", can_change(row, d) ? "])" : "");
        r->bad[i] = 1;
    }
}

static void adopt(struct conf_reader *r, const struct dims *d, int compare)
{
    struct conf *c = r->values;
    const struct dim *row;

    adopt_row(r, dims_row(0), d, compare);
    if (strcmp(c->model.layer, d->layer) != 0) return;  /* said; nothing else can be compared */
    for (int i = 1; (row = dims_row(i)); i++)
        if (says(row, d)) adopt_row(r, row, d, compare);
    if (dims_of(d) & OF_INNER && !r->where[number_of("model.backbone")].line)
        c->model.backbone = d->gate && d->share_qk && d->pre_conv ? BACKBONE_MAMBA
                                                                  : BACKBONE_TRANSFORMER;
}

void conf_adopt(struct conf_reader *r)
{
    struct conf *c = r->values;
    struct pattern p;
    struct dims d;
    int own, rc;

    if (!r->bad[number_of("train.init_change")]) check_changes(r);
    if (!r->models || !c->train.init_from[0] || r->bad[number_of("train.init_from")]) return;
    own = r->models->is_at(c->run.dir);
    snprintf(c->start.from, sizeof c->start.from, "%s", own ? c->run.dir : c->train.init_from);
    c->start.missing = !own && !r->models->is_at(c->train.init_from);
    if (c->start.missing) return;
    rc = r->models->dims_at(&d, c->start.from);
    if (rc == OK && pattern_of(&p, d.layer) != OK)
        rc = fail(ERR_DATA, "%s: the model has a layer that this program does not know",
                  c->start.from);
    if (rc == OK) adopt(r, &d, !own);
    if (rc == OK || own) return;  /* of its own checkpoints the run says more, and what to do */
    r->rc = rc;
    conf_complain(r, r->where[number_of("train.init_from")], "train.init_from",
                  "expected a model that can be read, found %s", c->start.from);
}

/* --- afterwards ------------------------------------------------------------------------ */

int conf_is_model(const struct conf *c, const struct dims *d, const char *source)
{
    char theirs[VALUE], ours[3 * CONF_PATH];
    const struct dim *row;
    int rc = OK;

    for (int i = 0; (row = dims_row(i)); i++) {
        if (!says(row, d) || row->use == USE_START || asked(c, row->key)) continue;
        model_value(theirs, row, d);
        conf_show(ours, sizeof ours, c, &conf_keys[number_of(row->key)]);
        if (strcmp(theirs, ours) != 0)
            rc = fail(ERR_CONFIG, "%s is %s in this run, %s in %s", row->key, ours, theirs,
                      source);
    }
    return rc;
}

void conf_report_model(const struct conf *c)
{
    if (c->start.missing)
        log_warn("train.init_from: there is no model at %s (yet): keys of the model that are not "
                 "given have their defaults here", c->start.from);
    if (c->start.taken[0]) log_phase("model of %s: %s", c->start.from, c->start.taken);
    if (c->start.changed[0]) log_phase("train.init_change: %s", c->start.changed);
}
