/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's layers reach of the matrix rate: the operations of a step, timed one by one. */
#include <math.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/conf/conf.h"
#include "src/forecast/cost.h"
#include "src/model/flops.h"
#include "src/model/stage.h"
#include "src/plan/step_plan.h"

enum { LAYERS = 4, UNITS = 2 };  /* at most: enough that nothing stays in a cache */

struct trial {
    struct model    *m;
    struct stage    *stage;
    struct grad      grad;
    struct step_plan plan;
    struct pass_opts o;
    int32_t         *windows;       /* (B, context + 1) */
    int64_t         *valid;         /* (B)              */
    struct pass_sums sums;
    double           s[OP_KINDS];   /* of one pass      */
};

static int trial_init(struct trial *t, const struct conf *c)
{
    const struct grid_shape one = { 1, 1, 1 };
    struct dims d;
    int rc;

    conf_dims(c, &d);
    conf_pass(c, &t->o, -1);
    if (d.L > LAYERS) d.L = LAYERS;
    if (pass_units(&t->o) > UNITS) t->o.context = UNITS * t->o.slice_tokens;
    t->o.remat = REMAT_NONE;
    TRY(model_new(&t->m, &d));
    model_init(t->m, (uint64_t)c->run.seed);
    if (t->o.bf16) model_use_bf16(t->m, 1);
    model_all_weights_changed(t->m);
    grad_init(&t->grad, &t->m->params, (enum reduction)c->train.reduction);

    const int B = t->o.micro_batch;
    const struct step_shape work = { .L = d.L, .U = pass_units(&t->o), .sequences = B,
                                     .micro_batch = B };
    step_plan_init(&t->plan, &one, &work, d.tied, 0);
    const struct stage_part all = { .l1 = d.L, .u1 = work.U, .slots = t->plan.slots };
    t->stage = stage_new(t->m, &t->o, &all);

    const int64_t n = (int64_t)B * (t->o.context + 1);
    const uint64_t key = rng_key((uint64_t)c->run.seed, "tokens");
    t->windows = mem_new(n, sizeof *t->windows, "tokens");
    t->valid = mem_new(B, sizeof *t->valid, "tokens");
    for (int64_t i = 0; i < n; i++)
        t->windows[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)d.V);
    for (int b = 0; b < B; b++) t->valid[b] = t->o.context;
out:
    return rc;
}

static void trial_done(struct trial *t)
{
    step_plan_done(&t->plan);
    stage_free(t->stage);
    if (t->m) grad_done(&t->grad);
    model_free(t->m);
    mem_free(t->windows);
    mem_free(t->valid);
}

static void operation(struct trial *t, const struct op *op)
{
    struct stage *st = t->stage;
    switch (op->kind) {
    case OP_BEGIN:
        stage_begin(st, op->slot, t->windows, t->o.context + 1, t->valid, 0,
                    t->o.micro_batch);
        break;
    case OP_START: stage_start(st, op->slot); break;
    case OP_EMBED: stage_embed(st, op->slot, op->u); break;
    case OP_FORWARD: stage_forward(st, op->slot, op->l, op->u, &t->sums); break;
    case OP_HEAD: stage_head(st, op->slot, op->u, &t->grad, &t->sums); break;
    case OP_BACKWARD: stage_backward(st, op->slot, op->l, op->u, &t->grad); break;
    case OP_EMBED_BACKWARD: stage_embed_backward(st, op->slot, op->u, &t->grad); break;
    case OP_START_BACKWARD: stage_start_backward(st, op->slot, op->l, &t->grad); break;
    default: break;  /* nobody to add gradients up with */
    }
}

static void pass(struct trial *t)
{
    t->sums = (struct pass_sums){ 0 };
    grad_begin(&t->grad, (int64_t)pass_units(&t->o) * t->o.micro_batch);
    for (int k = 0; k < OP_KINDS; k++) t->s[k] = 0;
    for (int i = 0; i < t->plan.count; i++) {
        const double start = clock_s();
        operation(t, &t->plan.ops[i]);
        t->s[t->plan.ops[i].kind] += clock_s() - start;
    }
}

/* Random weights predict nothing: a loss far from ln V means that something else was timed. */
static int verify(const struct trial *t)
{
    const double loss = fixed_value(t->sums.loss) / t->o.micro_batch, V = t->m->dims.V;
    if (t->sums.bad || !(fabs(loss - log(V)) < 0.1 * log(V)))
        return fail(ERR_DATA, "the loss of random weights is %g, not near ln %g = %g", loss, V,
                    log(V));
    return OK;
}

/* Median seconds of a pass in operations of each kind. */
static int trial_time(struct trial *t, const struct bench_opts *o, double seconds[OP_KINDS])
{
    double *s = mem_new((int64_t)OP_KINDS * o->repeat, sizeof *s, "times");

    pass(t);  /* touches all memory */
    const int rc = verify(t);
    for (int i = 0; rc == OK && i < o->repeat; i++) {
        pass(t);
        for (int k = 0; k < OP_KINDS; k++) s[k * o->repeat + i] = t->s[k];
    }
    for (int k = 0; rc == OK && k < OP_KINDS; k++)
        seconds[k] = bench_median(s + k * o->repeat, o->repeat);
    mem_free(s);
    return rc;
}

int bench_operations(const struct bench_opts *o, const struct conf *c, struct bench_operations *r)
{
    struct trial t = { 0 };
    double s[OP_KINDS];
    int rc;

    TRY(trial_init(&t, c));
    TRY(trial_time(&t, o, s));
    const double tokens = (double)t.o.micro_batch * t.o.context, L = t.m->dims.L;
    *r = (struct bench_operations){
        .embed = { s[OP_EMBED] / tokens, s[OP_EMBED_BACKWARD] / tokens },
        .layer = { s[OP_FORWARD] / tokens / L, s[OP_BACKWARD] / tokens / L },
        .head = s[OP_HEAD] / tokens, .layer_flops = flops_blocks(t.m, t.o.context) / L,
        .head_flops = flops_head(t.m),
    };
out:
    trial_done(&t);
    return rc;
}

int bench_layers(const struct bench_opts *o, const struct conf *c, struct rates *r)
{
    struct trial t = { 0 };
    double s[OP_KINDS];
    int rc;

    TRY(trial_init(&t, c));
    TRY(trial_time(&t, o, s));

    const double tokens = (double)t.o.micro_batch * t.o.context;
    const double units = (double)t.o.micro_batch * pass_units(&t.o);
    const double gflops = 1e9 * r->rank.fp32_gflops, bytes = 1e9 * r->rank.memory_gbytes;
    const double layer = tokens * flops_blocks(t.m, t.o.context) / gflops;
    const double head = tokens * flops_head(t.m) / gflops;
    double layer_sums = 0;
    for (int l = 0; l < t.m->dims.L; l++)
        layer_sums += units * cost_layer_sums(t.m, l, t.grad.mode, bytes);
    const double head_sums = tokens * cost_head_sums(
        t.m, t.grad.mode, t.o.slice_tokens < t.o.context ? t.o.slice_tokens : t.o.context, bytes);
    const double f = s[OP_FORWARD], b = s[OP_BACKWARD], h = s[OP_HEAD];
    /* Sums may be hidden behind products: they never take more than half of the time. */
    r->share.forward = layer / f;
    r->share.backward = 2 * layer / (b - (layer_sums < b / 2 ? layer_sums : b / 2));
    r->share.head = 3 * head / (h - (head_sums < h / 2 ? head_sums : h / 2));
out:
    trial_done(&t);
    return rc;
}
