#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/bench.h"
#include "src/conf/conf_model.h"
#include "src/model/budget.h"
#include "src/model/pass.h"
#include "src/optim/adamw.h"

/* Everything a step works on. */
struct job {
    struct model     *m;
    struct pass      *pass;
    struct grad       grad;
    struct pass_opts  po;
    struct optim_opts oo;
    void             *mom1, *mom2;
    int32_t          *windows;  /* (B, context + 1) */
    int64_t           t;        /* updates done     */
    double            loss;     /* of the last pass, nats */
};

/* What was measured. */
struct result {
    double pass_s, update_s, forward_s, step_s;  /* medians              */
    double first, last;                          /* loss                 */
    double gflops;                               /* the limit            */
};

int bench_conf(struct conf *c, const char *file, const struct arg_list *sets, int64_t tokens)
{
    static const char defaults[] = "data:\n  train: none\n";
    char *all[sizeof sets->v / sizeof *sets->v + 3], *own[2] = { NULL };
    int n = 0, rc;

    if (tokens) {
        all[n++] = own[0] = mem_format("train.context=%lld", (long long)tokens);
        all[n++] = own[1] = mem_format("train.batch_tokens=%lld", (long long)tokens);
    }
    for (int i = 0; i < sets->n; i++) all[n++] = sets->v[i];
    rc = file ? conf_read(c, file, all, n)
              : conf_parse(c, defaults, strlen(defaults), "defaults", all, n);
    if (rc == OK) conf_say_model(c);
    mem_free(own[0]);
    mem_free(own[1]);
    return rc;
}

static int job_init(struct job *j, const struct conf *c)
{
    struct dims d;
    int rc;

    conf_dims(c, &d);
    conf_pass(c, &j->po, -1);
    conf_optim(c, &j->oo);
    j->oo.warmup_steps = 0;  /* all steps move the weights */
    TRY(model_check_window(&d, j->po.context));
    TRY(model_new(&j->m, &d));
    model_init(j->m, (uint64_t)c->run.seed);
    if (j->po.bf16) model_use_bf16(j->m, 1);
    model_all_weights_changed(j->m);
    grad_init(&j->grad, &j->m->params, (enum reduction)c->train.reduction);
    j->pass = pass_new(j->m, &j->po);
    const size_t moment = j->oo.state == MOMENTS_BF16 ? sizeof(bf16) : sizeof(real);
    j->mom1 = mem_new(j->m->params.total, moment, "first moments");
    j->mom2 = mem_new(j->m->params.total, moment, "second moments");
    const int64_t n = (int64_t)j->po.micro_batch * (j->po.context + 1);
    const uint64_t key = rng_key((uint64_t)c->run.seed, "tokens");
    j->windows = mem_new(n, sizeof *j->windows, "tokens");
    for (int64_t i = 0; i < n; i++)
        j->windows[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)d.V);
out:
    return rc;
}

static void job_done(struct job *j)
{
    pass_free(j->pass);
    grad_done(&j->grad);
    model_free(j->m);
    mem_free(j->mom1);
    mem_free(j->mom2);
    mem_free(j->windows);
}

/* Forward, and backward with g; returns seconds. */
static double pass_once(struct job *j, struct grad *g)
{
    struct pass_sums sums = { 0 };
    const double start = clock_s();
    if (g) grad_begin(g, (int64_t)pass_units(&j->po) * j->po.micro_batch);
    pass_run(j->pass, g, &sums, j->windows, j->po.micro_batch);
    j->loss = sums.bad ? NAN : fixed_value(sums.loss) / (double)sums.sequences;
    return clock_s() - start;
}

static double update_once(struct job *j)
{
    const double start = clock_s();
    const double norm = sqrt(grad_sumsq(&j->grad));
    const double factor = clip_factor(&j->oo, norm);
    if (j->oo.state == MOMENTS_BF16)
        adamw_update_bf16(&j->oo, j->t++, factor, &j->grad, j->m->w, j->mom1, j->mom2, 0, 0,
                          j->m->params.total);
    else
        adamw_update(&j->oo, j->t++, factor, &j->grad, j->m->w, j->mom1, j->mom2, 0,
                     j->m->params.total);
    model_all_weights_changed(j->m);
    return clock_s() - start;
}

/* The limit again, so that a busy neighbour slows both alike; the best counts. */
static int limit(const struct bench_opts *o, int half, double *best)
{
    const struct bench_opts few = { .repeat = 3, .threads = o->threads };
    double now;
    const int rc = bench_gemm(&few, 0, half, &now);
    if (rc == OK && now > *best) *best = now;
    return rc;
}

/* A step that is fast because it does not learn is no step: random weights must
 * start near ln V, and the same tokens again must cost less. */
static int verify(const struct result *r, int V)
{
    if (!(fabs(r->first - log(V)) < 0.1 * log(V)))
        return fail(ERR_DATA, "the first loss is %g, not near ln %d = %g", r->first, V, log(V));
    if (!(r->last < r->first))
        return fail(ERR_DATA, "the loss went from %g to %g on the same tokens", r->first, r->last);
    return OK;
}

static int measure(struct job *j, const struct bench_opts *o, int steps, struct result *r)
{
    double *s = mem_new(4 * (int64_t)steps, sizeof *s, "times"), *u = s + steps, *both = u + steps;
    double *f = both + steps;
    int rc;

    TRY(limit(o, j->po.bf16, &r->gflops));
    pass_once(j, &j->grad);        /* touches all memory */
    r->first = j->loss;
    update_once(j);
    for (int i = 0; i < steps; i++) {
        s[i] = pass_once(j, &j->grad);
        u[i] = update_once(j);
        both[i] = s[i] + u[i];
    }
    TRY(limit(o, j->po.bf16, &r->gflops));
    for (int i = 0; i < steps; i++) f[i] = pass_once(j, NULL);
    r->last = j->loss;
    r->pass_s = bench_median(s, steps);
    r->update_s = bench_median(u, steps);
    r->step_s = bench_median(both, steps);
    r->forward_s = bench_median(f, steps);
    rc = verify(r, j->m->dims.V);
out:
    mem_free(s);
    return rc;
}

static void print(const struct job *j, const struct bench_opts *o, const struct result *r,
                  const struct budget *b)
{
    const double tokens = (double)j->po.context * j->po.micro_batch;
    const double flops = model_flops(j->m, j->po.context);
    const double rate = tokens / r->step_s, share = rate * flops * 1e-9 / r->gflops;
    const int64_t peak = mem_peak_resident();
    char had[HUMAN_TEXT], planned[HUMAN_TEXT];

    if (o->json) {
        printf("{\"bench\": \"train\", \"layer\": \"%s\", \"precision\": \"%s\", "
               "\"parameters\": %lld, \"context\": %d, \"slice_tokens\": %d, \"micro_batch\": %d, \"threads\": %d, \"steps_per_s\": %.6g, "
               "\"tok_per_s\": %.6g, \"forward_tok_per_s\": %.6g, \"pass_s\": %.6g, \"update_s\": "
               "%.6g, \"flops_per_token\": %.6g, \"gemm_gflops\": %.6g, \"share_of_gemm\": %.5g, "
               "\"peak_bytes\": %lld, \"planned_bytes\": %lld, \"loss_first\": %.6g, "
               "\"loss_last\": %.6g}\n",
               j->m->dims.layer, j->po.bf16 ? "bf16" : "fp32", (long long)j->m->params.n,
               j->po.context, j->po.slice_tokens,
               j->po.micro_batch, o->threads, 1 / r->step_s, rate, tokens / r->forward_s,
               r->pass_s, r->update_s, flops, r->gflops, share, (long long)peak,
               (long long)b->total, r->first, r->last);
        return;
    }
    printf("%s, %.1f M parameters, %d tokens in units of %d, %d at once, %d threads, %s\n",
           j->m->dims.layer, 1e-6 * (double)j->m->params.n, j->po.context, j->po.slice_tokens,
           j->po.micro_batch, o->threads, j->po.bf16 ? "bf16" : REAL_DTYPE);
    printf("  limit     %9.1f GFLOP/s in dense products, measured before and after\n", r->gflops);
    printf("  work      %9.4f GFLOP a token: 6 per parameter in a product, 3 x the layers' own\n",
           1e-9 * flops);
    printf("  step      %9.3f s: forward and backward %.3f, optimizer %.3f\n", r->step_s,
           r->pass_s, r->update_s);
    printf("  training  %9.1f tokens/s = %.1f %% of the limit\n", rate, 100 * share);
    printf("  forward   %9.1f tokens/s\n", tokens / r->forward_s);
    printf("  memory    %s at most, planned %s\n", human_bytes(had, peak),
           human_bytes(planned, b->total));
    printf("  verified  loss %.4f at first (ln V = %.4f), %.4f after %lld updates on the same "
           "tokens\n", r->first, log(j->m->dims.V), r->last, (long long)j->t);
}

int bench_train(const struct bench_opts *o, const char *file, const struct arg_list *sets,
                int64_t tokens, int64_t steps)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct job j = { 0 };
    struct result r = { 0 };
    struct budget b;
    int rc;

    TRY(bench_conf(c, file, sets, tokens));
    TRY(job_init(&j, c));
    TRY(budget_plan(&b, &j.m->dims, &j.po, (enum reduction)c->train.reduction));
    TRY(measure(&j, o, (int)steps, &r));
    print(&j, o, &r, &b);
out:
    job_done(&j);
    mem_free(c);
    return rc;
}
