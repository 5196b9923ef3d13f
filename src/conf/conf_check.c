/* SPDX-License-Identifier: Apache-2.0 */
/* Checks between keys, then values for "auto" and empty names. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/ranges.h"
#include "src/base/status.h"
#include "src/conf/conf_model.h"
#include "src/conf/conf_reader.h"
#include "src/layers/pattern.h"
#include "src/plan/share.h"

/* A pebibyte: beyond it nothing is meant, and below it no product overflows. */
#define MOST_BYTES 0x1p50

static int number(const char *path)
{
    const int i = conf_find(&conf_run, path);
    check(i >= 0);
    return i;
}

static int usable(const struct conf_reader *r, struct fit_keys k)
{
    for (int i = 0; i < FIT_KEYS && k.path[i]; i++)
        if (r->bad[number(k.path[i])]) return 0;
    return 1;
}

/* A rule does not hold: the first key is blamed, at the place of the first one that is given.
 * Nothing is reported where a key is wrong by itself. */
static void blame(void *ctx, struct fit_keys k, const char *what)
{
    struct conf_reader *r = ctx;
    struct conf_place at = { r->name, 1, 1 };

    if (!usable(r, k)) return;
    for (int i = FIT_KEYS - 1; i >= 0; i--)
        if (k.path[i] && r->where[number(k.path[i])].line) at = r->where[number(k.path[i])];
    conf_complain(r, at, k.path[0], "%s", what);
    r->bad[number(k.path[0])] = 1;
}

/* Complain unless `holds`. */
static void must(struct conf_reader *r, struct fit_keys k, int holds, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void must(struct conf_reader *r, struct fit_keys k, int holds, const char *format, ...)
{
    char what[512];
    va_list ap;

    if (holds) return;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    blame(r, k, what);
}

static void check_required(struct conf_reader *r)
{
    char expected[256];
    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        if (k->preset || r->bad[i]) continue;
        if (r->where[i].line && (!conf_is_text(k) || *(char *)conf_at(r->values, k))) continue;
        const struct conf_place top = { r->name, 1, 1 };
        conf_complain(r, r->where[i].line ? r->where[i] : top, k->path,
                      "expected %s, found nothing: it has no default",
                      conf_expected(expected, sizeof expected, k));
    }
}

/* The layers of the model; returns 0 if the key is wrong by itself. */
static int layers_of(struct pattern *p, const struct conf_reader *r)
{
    const struct conf *c = r->values;
    return !r->bad[number("model.layer")] && pattern_of(p, c->model.layer) == OK;
}

/* Values of the section `model` that follow from others. */
static void resolve_model(struct conf *c, const struct pattern *p)
{
    const int mamba = p->has & HAS_INNER && c->model.backbone == BACKBONE_MAMBA;

    if (c->model.kv_heads < 0) c->model.kv_heads = c->model.heads;
    if (c->model.ffn_width < 0) c->model.ffn_width = p->ffn ? 2048 : 0;
    if (c->model.rms_eps < 0) c->model.rms_eps = p->family->rms_eps;
    if (c->model.dt_rank < 0) c->model.dt_rank = (c->model.width + 15) / 16;
    if (c->model.gate < 0) c->model.gate = mamba;
    if (c->model.share_qk < 0) c->model.share_qk = mamba;
    if (c->model.pre_conv < 0) c->model.pre_conv = mamba;
}

/* Keys that change nothing, and then the rules of dims (layers/fit.h). */
static void check_model(struct conf_reader *r)
{
    struct conf *c = r->values;
    struct fit f = { .complain = blame, .ctx = r };
    struct pattern p;
    struct dims d;

    const int longest = c->eval.context > c->train.context ? c->eval.context : c->train.context;

    must(r, KEYS("train.context", "eval.context", "model.sliding_window"),
         !c->model.sliding_window || c->model.full_layers >= c->model.layers ||
             longest <= c->model.sliding_window,
         "expected at most model.sliding_window (%d), found %d", c->model.sliding_window, longest);
    must(r, KEYS("model.rope_scaling.factor", "model.rope_scaling.type"),
         c->model.rope_scaling.type != ROPE_DEFAULT || c->model.rope_scaling.factor == 1,
         "expected model.rope_scaling.type linear or llama3 with it, found default");
    if (!layers_of(&p, r)) return;
    must(r, KEYS("model.pre_conv", "model.layer"), p.has & HAS_INNER || c->model.pre_conv <= 0,
         "expected false for layer %s, found true", c->model.layer);
    resolve_model(c, &p);
    conf_dims_given(c, &d);
    fit_dims(&f, &d);
}

static void check_sizes(struct conf_reader *r)
{
    const struct conf *c = r->values;
    const double C = c->model.width, E = c->model.ffn_width > 0 ? c->model.ffn_width : 2048,
                 L = c->model.layers;
    const double Q = c->model.head_dim > 0 ? (double)c->model.head_dim * c->model.heads : C;
    const double weights = (double)c->model.vocab * C * (c->model.tied ? 1 : 2) +
                           L * C * (C + 4 * Q + 3 * E);
    const double rows = (double)c->train.micro_batch * c->train.context;

    must(r, KEYS("model.width", "model.layers", "model.ffn_width", "model.vocab"),
         weights * 32 < MOST_BYTES, "expected a model that needs less than a pebibyte, found "
         "about %.0f parameters", weights);
    must(r, KEYS("train.context", "train.micro_batch", "model.width", "model.layers"),
         rows * L * (12 * C + 8 * Q + 4 * E) * 8 < MOST_BYTES,
         "expected activations of less than a pebibyte, found %.0f rows of width %.0f in %.0f "
         "layers", rows, C, L);
}

static int mini_batch(const struct conf_reader *r)
{
    const struct conf *c = r->values;
    struct pattern p;
    return layers_of(&p, r) && p.has & HAS_INNER ? c->model.mini_batch : 1;
}

static void check_train(struct conf_reader *r)
{
    const struct conf *c = r->values;
    struct ranges skip;
    const int T = c->train.context, S = c->train.slice_tokens, K = mini_batch(r);

    must(r, KEYS("train.batch_tokens", "train.context"), c->train.batch_tokens % T == 0,
         "expected a multiple of train.context (%d), found %lld", T,
         (long long)c->train.batch_tokens);
    must(r, KEYS("data.skip"), ranges_parse(&skip, c->data.skip),
         "expected numbers of samples as 5120-6143,9000, found '%.100s'", c->data.skip);
    must(r, KEYS("train.slice_tokens", "model.mini_batch", "train.context"),
         S <= 0 || S >= T || S % K == 0,
         "expected a multiple of model.mini_batch (%d), or train.context (%d) or more, found %d",
         K, T, S);
}

static void check_optim(struct conf_reader *r)
{
    const struct conf *c = r->values;
    const struct optim_opts *o = &c->optim;
    const int64_t steps = c->train.steps;
    const int64_t warmup = o->warmup_steps < 0 ? steps / 10 : o->warmup_steps;
    const int64_t decay = o->decay_steps <= 0 ? steps : o->decay_steps;

    must(r, KEYS("optim.state", "optim.kind"),
         o->state == MOMENTS_FP32 || o->kind == OPTIM_ADAMW,
         "expected fp32 with optim.kind soap, found bf16");
    must(r, KEYS("optim.warmup_steps", "train.steps"), warmup <= steps,
         "expected at most train.steps (%lld), found %lld", (long long)steps, (long long)warmup);
    must(r, KEYS("optim.decay_steps", "optim.warmup_steps", "train.steps"), decay >= warmup,
         "expected at least optim.warmup_steps (%lld), found %lld", (long long)warmup,
         (long long)decay);
    must(r, KEYS("optim.min_lr", "optim.lr"), o->min_lr <= o->lr,
         "expected at most optim.lr (%g), found %g", o->lr, o->min_lr);
}

/* The file's name without folders and .yaml, made of harmless characters.  returns 0 if it is cut:
 * two files might have one folder. */
static int name_from_file(char *name, size_t room, const char *file)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
    size_t n = strlen(base);

    if (n > 5 && !strcmp(base + n - 5, ".yaml")) n -= 5;
    else if (n > 4 && !strcmp(base + n - 4, ".yml")) n -= 4;
    snprintf(name, room, "%.*s", (int)n, base);
    for (char *p = name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *p))
            *p = '-';
    if (name[0] == '.' || !name[0]) snprintf(name, room, "run");
    return n < room;
}

static void check_run(struct conf_reader *r)
{
    struct conf *c = r->values;
    struct grid_shape grid;

    if (!c->run.name[0])
        must(r, KEYS("run.name"), name_from_file(c->run.name, sizeof c->run.name, r->name),
             "expected at most %zu bytes, found the name of a longer file; give the run one",
             sizeof c->run.name - 1);
    must(r, KEYS("run.name"), c->run.name[0] != '.' && !strchr(c->run.name, '/'),
         "expected a name without '/' that does not begin with '.', found '%s'", c->run.name);
    must(r, KEYS("run.grid"), !strcmp(c->run.grid, "auto") || grid_is(&grid, c->run.grid),
         "expected auto or DxPxS such as 2x1x4, at most %d ranks, found '%s'", GRID_RANKS,
         c->run.grid);
    if (!c->run.dir[0]) snprintf(c->run.dir, sizeof c->run.dir, "logs/%s", c->run.name);
}

static void resolve(struct conf_reader *r)
{
    struct conf *c = r->values;
    struct pattern p;
    check(layers_of(&p, r));
    const int K = mini_batch(r), T = c->train.context;

    /* One text for one meaning, as for kv_heads. */
    c->model.head_dim = !(p.has & HAS_ATTENTION) ? CONF_AUTO
                      : c->model.head_dim < 0 ? c->model.width / c->model.heads
                      : c->model.head_dim;
    if (c->train.slice_tokens <= 0)
        c->train.slice_tokens = T <= 1024 ? T : K <= 1024 ? 1024 / K * K : K;
    if (c->eval.context < 0) c->eval.context = T;
    if (c->optim.warmup_steps < 0) c->optim.warmup_steps = c->train.steps / 10;
    if (c->launch.slurm.min_nodes < 0) c->launch.slurm.min_nodes = c->launch.slurm.nodes;
    if (c->optim.decay_steps <= 0) c->optim.decay_steps = c->train.steps;
}

void conf_check(struct conf_reader *r)
{
    check_required(r);
    check_run(r);
    pattern_shorten(((struct conf *)r->values)->model.layer);
    if (r->origin != FROM_RUN) conf_adopt(r);
    check_model(r);
    check_sizes(r);
    check_train(r);
    check_optim(r);
    conf_check_launch(r);
    if (!r->errors) resolve(r);
    if (!r->errors) conf_check_limits(r);
}
