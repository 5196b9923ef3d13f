#include "src/conf/conf_model.h"

#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/conf/conf_reader.h"
#include "src/layers/pattern.h"
#include "src/store/model_at.h"

/* What a field of dims is; BIT: a part that is left out. */
enum form { NAME, COUNT, NUMBER, BIT };

/* Of what kind of model a key says something; none of them: of all. */
enum { HEADS = 1, INNER = 2, STATE = 4, FFN = 8, GROUPS = 16, CONV = 32, ATTENTION = 64,
       SCALED = 128, LLAMA3 = 256, WINDOW = 512 };

/* SHAPE: another value needs other weights; PER_HEAD: where the layer has weights of each head,
 * PER_TOKEN: of each token of a mini-batch.  START: of initial weights only, so taken and never
 * compared.  OURS: of no model. */
enum use { FUNCTION, PER_HEAD, PER_TOKEN, SHAPE, START, OURS };

static const struct row {
    const char *key;
    enum form   form;
    size_t      at, size;
    int         bit, of;
    enum use    use;
} rows[] = {
#define AT(field) offsetof(struct dims, field), sizeof ((struct dims *)0)->field
    { "model.layer", NAME, AT(layer), 0, 0, SHAPE },
    { "model.vocab", COUNT, AT(V), 0, 0, SHAPE },
    { "model.layers", COUNT, AT(L), 0, 0, SHAPE },
    { "model.width", COUNT, AT(C), 0, 0, SHAPE },
    { "model.heads", COUNT, AT(H), 0, HEADS, PER_HEAD },
    { "model.kv_heads", COUNT, AT(Hkv), 0, GROUPS, SHAPE },
    { "model.head_dim", COUNT, AT(F), 0, ATTENTION, SHAPE },
    { "model.qkv_bias", COUNT, AT(qkv_bias), 0, ATTENTION, SHAPE },
    { "model.sliding_window", COUNT, AT(window), 0, ATTENTION, FUNCTION },
    { "model.full_layers", COUNT, AT(full_layers), 0, WINDOW, FUNCTION },
    { "model.ffn_width", COUNT, AT(E), 0, FFN, SHAPE },
    { "model.mini_batch", COUNT, AT(K), 0, INNER, PER_TOKEN },
    { "model.gate", COUNT, AT(gate), 0, INNER, SHAPE },
    { "model.share_qk", COUNT, AT(share_qk), 0, INNER, SHAPE },
    { "model.pre_conv", COUNT, AT(pre_conv), 0, INNER, SHAPE },
    { "model.conv_width", COUNT, AT(conv_width), 0, CONV, SHAPE },
    { "model.tied", COUNT, AT(tied), 0, 0, SHAPE },
    { "model.rope_theta", NUMBER, AT(rope_theta), 0, HEADS, FUNCTION },
    { "model.rms_eps", NUMBER, AT(rms_eps), 0, 0, FUNCTION },
    { "model.ln_eps", NUMBER, AT(ln_eps), 0, INNER, FUNCTION },
    { "model.init", COUNT, AT(orthogonal), 0, 0, OURS },
    { "model.init_std", NUMBER, AT(init_std), 0, 0, START },
    { "model.inner_lr", NUMBER, AT(inner_lr), 0, INNER, FUNCTION },
    { "model.inner_norm", BIT, AT(without), WITHOUT_NORM, INNER, SHAPE },
    { "model.inner_residual", BIT, AT(without), WITHOUT_RESIDUAL, INNER, FUNCTION },
    { "model.inner_bias", BIT, AT(without), WITHOUT_BIAS, INNER, SHAPE },
    { "model.inner_mean", BIT, AT(without), WITHOUT_MEAN, INNER, FUNCTION },
    { "model.learn_init", BIT, AT(without), WITHOUT_INIT, INNER, SHAPE },
    { "model.learn_gate", BIT, AT(without), WITHOUT_GATE, INNER, SHAPE },
    { "model.learn_token_idx", BIT, AT(without), WITHOUT_TOKEN_IDX, INNER, SHAPE },
    { "model.state", COUNT, AT(state), 0, STATE, SHAPE },
    { "model.expand", COUNT, AT(expand), 0, STATE, SHAPE },
    { "model.dt_rank", COUNT, AT(dt_rank), 0, STATE, SHAPE },
    { "model.rope_scaling.type", COUNT, AT(rope_scaling), 0, ATTENTION, FUNCTION },
    { "model.rope_scaling.factor", NUMBER, AT(rope_factor), 0, SCALED, FUNCTION },
    { "model.rope_scaling.low_freq_factor", NUMBER, AT(rope_low), 0, LLAMA3, FUNCTION },
    { "model.rope_scaling.high_freq_factor", NUMBER, AT(rope_high), 0, LLAMA3, FUNCTION },
    { "model.rope_scaling.original_context", COUNT, AT(rope_original), 0, LLAMA3, FUNCTION },
#undef AT
};
#define ROWS (int)(sizeof rows / sizeof *rows)

static int number_of(const char *path)
{
    const int i = conf_find(&conf_run, path);
    check(i >= 0);
    return i;
}

int conf_model_row(int i, size_t *at, size_t *size)
{
    if (i < 0 || i >= ROWS) return 0;
    *at = rows[i].at;
    *size = rows[i].size;
    return 1;
}

void conf_dims(const struct conf *c, struct dims *d)
{
    memset(d, 0, sizeof *d);
    for (int i = 0; i < ROWS; i++) {
        const struct conf_key *k = &conf_keys[number_of(rows[i].key)];
        const void *from = (const char *)c + k->offset;
        void *to = (char *)d + rows[i].at;
        if (rows[i].form != BIT) memcpy(to, from, rows[i].size);
        else if (!*(const int *)from) *(int *)to |= rows[i].bit;
    }
    struct pattern p;
    check(pattern_of(&p, d->layer) == OK);
    pattern_trim(&p, d);
}

/* --- one row of a model ------------------------------------------------------------ */

/* The kinds that a model is of. */
static int kinds_of(const struct dims *d)
{
    struct pattern p;
    int kinds = 0;

    check(pattern_of(&p, d->layer) == OK);
    if (p.has & HAS_HEADS) kinds |= HEADS;
    if (p.has & HAS_INNER) kinds |= INNER;
    if (p.has & HAS_STATE) kinds |= STATE | CONV;
    if (p.has & HAS_ATTENTION) kinds |= ATTENTION | GROUPS;
    if (d->rope_scaling != ROPE_DEFAULT) kinds |= SCALED;
    if (d->rope_scaling == ROPE_LLAMA3) kinds |= LLAMA3;
    if (d->window) kinds |= WINDOW;
    if (p.ffn) kinds |= FFN;
    if (d->pre_conv || d->share_qk) kinds |= CONV;
    return kinds;
}

static int says(const struct row *row, const struct dims *d)
{
    return row->use != OURS && (!row->of || row->of & kinds_of(d));
}

/* A whole number of the model; where 0 stands for what follows from others, that.  Nobody has
 * checked the dims of a file yet. */
static int whole(const struct row *row, const struct dims *d)
{
    if (row->at == offsetof(struct dims, Hkv)) return head_groups(d);
    if (row->at == offsetof(struct dims, F) && !d->F) return d->H > 0 ? d->C / d->H : 0;
    return row->form == COUNT || row->form == BIT ? *(const int *)((const char *)d + row->at) : 0;
}

/* The model's value as it would be written in a configuration. */
#define VALUE (PATTERN_TEXT + 2)
static void model_value(char out[VALUE], const struct row *row, const struct dims *d)
{
    const struct conf_key *k = &conf_keys[number_of(row->key)];
    const void *v = (const char *)d + row->at;
    const int n = whole(row, d);
    int names = 0;

    while (k->type == CONF_ENUM && k->names[names]) names++;

    if (row->form == NAME)
        snprintf(out, VALUE, pattern_is_list(v) ? "[%s]" : "%s", (const char *)v);
    else if (row->form == NUMBER) text_of_double(out, *(const double *)v);
    else if (row->form == BIT) strcpy(out, n & row->bit ? "false" : "true");
    else if (k->type == CONF_BOOL) strcpy(out, n ? "true" : "false");
    else if (n >= 0 && n < names) snprintf(out, VALUE, "%s", k->names[n]);
    else snprintf(out, VALUE, "%d", n);
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

static const struct row *row_of(const char *key)
{
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].key, key)) return &rows[i];
    return NULL;
}

/* With the same weights?  d NULL: of any model. */
static int can_change(const struct row *row, const struct dims *d)
{
    if (!d) return row->use < SHAPE;
    return row->use == FUNCTION || (row->use == PER_HEAD && !(kinds_of(d) & INNER)) ||
           (row->use == PER_TOKEN && d->without & WITHOUT_TOKEN_IDX);
}

/* Names must be those of keys that can be another one's, and have a value here. */
static void check_changes(struct reader *r)
{
    const struct conf *c = r->values;
    const int list = number_of("train.init_change");
    char key[64];

    for (const char *p = c->train.init_change; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(p, "\n"), p);
        const struct row *row = row_of(key);
        struct nearest n = { .to = key };
        for (int i = 0; i < ROWS; i++) if (can_change(&rows[i], NULL)) nearest_try(&n, rows[i].key);
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
static struct place given(struct reader *r, const struct row *row)
{
    struct conf *c = r->values;
    const int i = number_of(row->key), backbone = number_of("model.backbone");
    const struct conf_key *k = &conf_keys[i];
    char text[3 * CONF_PATH];

    if (strcmp(conf_show(text, sizeof text, c, k), "auto") != 0) return r->where[i];
    if (k->type != CONF_BOOL || !r->where[backbone].line) return (struct place){ .line = 0 };
    *(int *)conf_at(c, k) = c->model.backbone == BACKBONE_MAMBA;
    return r->where[backbone];
}

/* The model's value becomes the key's; returns 0 if it is none of this key. */
static int take(struct conf *c, const struct row *row, const struct conf_key *k,
                const struct dims *d, const char *theirs)
{
    if (row->form != NAME) return conf_store(c, k, theirs, 1);
    memcpy(conf_at(c, k), (const char *)d + row->at, k->size);
    return 1;
}

/* compare: a value that differs is a mistake, or named as a change. */
static void adopt_row(struct reader *r, const struct row *row, const struct dims *d, int compare)
{
    struct conf *c = r->values;
    const int i = number_of(row->key);
    const struct conf_key *k = &conf_keys[i];
    const char *leaf = strchr(row->key, '.') + 1;
    char theirs[VALUE], ours[3 * CONF_PATH], both[2 * CONF_PATH];

    if (r->bad[i]) return;
    const struct place at = given(r, row);
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
    } else if (compare && row->use != START) {
        conf_complain(r, at, row->key, "expected %s, as the model %s has it, found %.100s%s%s%s",
                      theirs, c->start.from, ours,
                      can_change(row, d) ? " (to change it: train.init_change: [" : "",
                      can_change(row, d) ? row->key : "", can_change(row, d) ? "])" : "");
        r->bad[i] = 1;
    }
}

static void adopt(struct reader *r, const struct dims *d, int compare)
{
    struct conf *c = r->values;

    adopt_row(r, &rows[0], d, compare);
    if (strcmp(c->model.layer, d->layer) != 0) return;  /* said; nothing else can be compared */
    for (int i = 1; i < ROWS; i++)
        if (says(&rows[i], d)) adopt_row(r, &rows[i], d, compare);
    if (kinds_of(d) & INNER && !r->where[number_of("model.backbone")].line)
        c->model.backbone = d->gate && d->share_qk && d->pre_conv ? BACKBONE_MAMBA
                                                                  : BACKBONE_TRANSFORMER;
}

void conf_adopt(struct reader *r)
{
    struct conf *c = r->values;
    struct model_at m;
    struct pattern p;
    int own, rc;

    if (!r->bad[number_of("train.init_change")]) check_changes(r);
    if (!c->train.init_from[0] || r->bad[number_of("train.init_from")]) return;
    own = model_is_at(c->run.dir);
    snprintf(c->start.from, sizeof c->start.from, "%s", own ? c->run.dir : c->train.init_from);
    c->start.missing = !own && !model_is_at(c->train.init_from);
    if (c->start.missing) return;
    rc = model_at_open(&m, c->start.from, MODEL_NAMED);
    if (rc == OK) {
        if (pattern_of(&p, m.dims.layer) == OK) adopt(r, &m.dims, !own);
        else rc = fail(ERR_DATA, "%s: the model has a layer that this program does not know",
                       c->start.from);
        model_at_close(&m);
    }
    if (rc == OK || own) return;  /* of its own checkpoints the run says more, and what to do */
    r->rc = rc;
    conf_complain(r, r->where[number_of("train.init_from")], "train.init_from",
                  "expected a model that can be read, found %s", c->start.from);
}

/* --- afterwards ------------------------------------------------------------------------ */

int conf_is_model(const struct conf *c, const struct dims *d, const char *source)
{
    char theirs[VALUE], ours[3 * CONF_PATH];
    int rc = OK;

    for (int i = 0; i < ROWS; i++) {
        if (!says(&rows[i], d) || rows[i].use == START || asked(c, rows[i].key)) continue;
        model_value(theirs, &rows[i], d);
        conf_show(ours, sizeof ours, c, &conf_keys[number_of(rows[i].key)]);
        if (strcmp(theirs, ours) != 0)
            rc = fail(ERR_CONFIG, "%s is %s in this run, %s in %s", rows[i].key, ours, theirs,
                      source);
    }
    return rc;
}

void conf_say_model(const struct conf *c)
{
    if (c->start.missing)
        log_warn("train.init_from: there is no model at %s (yet): keys of the model that are not "
                 "given have their defaults here", c->start.from);
    if (c->start.taken[0]) log_phase("model of %s: %s", c->start.from, c->start.taken);
    if (c->start.changed[0]) log_phase("train.init_change: %s", c->start.changed);
}
