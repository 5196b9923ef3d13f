/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench train: training steps of one process on random tokens, with the trainer's update. */
#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "mpi/bench/bench_step.h"
#include "mpi/bench/cmd_bench.h"
#include "src/base/clock.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/kernels/gemm.h"
#include "src/forecast/memory.h"

#define USAGE "ttt bench train [RUN.yaml]"

static const char about[] =
    "Measure training steps on random tokens by one process: tokens/s, memory, and the shares of\n"
    "the arithmetic peak (model FLOPs utilization) and of the rate of dense products, which are\n"
    "measured in the same run. RUN.yaml gives the model and the optimizer (without it TTT-Linear\n"
    "125m with AdamW). Times are medians; of SOAP's update, which refreshes its bases in some\n"
    "steps only, the mean.\n"
    "\n"
    "example\n"
    "  ttt bench train config/mamba-125m.yaml --threads 2";

struct request {
    const char       *file;
    struct arg_list   sets;
    int64_t           tokens, steps;
    struct bench_opts o;
};

/* What was measured. */
struct result {
    double pass_s, update_s, forward_s, step_s;  /* medians              */
    double first, last;                          /* loss                 */
    struct bench_limits limits;
};

/* A step that is fast because it does not learn is no step: random weights must
 * start near ln V, and the same tokens again must cost less. */
static int verify(const struct bench_step *b, const struct result *r)
{
    if (!(r->last < r->first))
        return fail(ERR_DATA, "the loss went from %g to %g on the same tokens", r->first, r->last);
    return bench_step_verify(b, r->first);
}

static double mean(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += v[i];
    return sum / n;
}

static int measure(struct bench_step *b, const struct bench_opts *o, int steps, struct result *r)
{
    const struct step_opts *z = &b->setup.step;
    const int soap = z->optim.kind == OPTIM_SOAP;
    double *s = mem_new(4 * (int64_t)steps, sizeof *s, "times"), *u = s + steps, *both = u + steps;
    double *f = both + steps;
    const struct bench_opts few = { .repeat = 3, .threads = o->threads };
    struct step_result step;
    int rc;

    TRY(bench_limits(&few, z->pass.bf16, &r->limits));
    bench_step_run(b, &step, NULL);        /* touches all memory */
    r->first = step.loss;
    for (int i = 0; i < steps; i++) {
        const double begin = clock_s();
        bench_step_run(b, &step, NULL);
        both[i] = clock_s() - begin;
        s[i] = step.pass_s;
        u[i] = both[i] - s[i];
    }
    TRY(bench_limits(&few, z->pass.bf16, &r->limits));  /* a busy neighbour slows all alike */
    for (int i = 0; i < steps; i++) {
        const double begin = clock_s();
        r->last = stepper_loss(b->stepper);
        f[i] = clock_s() - begin;
    }
    r->pass_s = bench_median(s, steps);
    r->update_s = soap ? mean(u, steps) : bench_median(u, steps);
    r->step_s = soap ? r->pass_s + r->update_s : bench_median(both, steps);
    r->forward_s = bench_median(f, steps);
    rc = verify(b, r);
out:
    mem_free(s);
    return rc;
}

static void print(const struct bench_step *b, const struct bench_opts *o, const struct result *r,
                  const struct memory *memory)
{
    const struct model *m = b->setup.state.model;
    const struct pass_opts *po = &b->setup.step.pass;
    const struct optim_opts *oo = &b->setup.step.optim;
    const double tokens = (double)po->context * po->micro_batch;
    const double flops = model_flops(m, po->context);
    const double rate = tokens / r->step_s, gflops = rate * flops * 1e-9;
    const struct bench_limits *l = &r->limits;
    const int64_t peak = mem_peak_resident();
    char had[HUMAN_TEXT], planned[HUMAN_TEXT];

    if (o->json) {
        printf("{\"bench\": \"train\", \"layer\": \"%s\", \"precision\": \"%s\", "
               "\"optimizer\": \"%s\", \"parameters\": %lld, \"context\": %d, "
               "\"slice_tokens\": %d, \"micro_batch\": %d, \"threads\": %d, \"steps_per_s\": %.6g, "
               "\"tok_per_s\": %.6g, \"forward_tok_per_s\": %.6g, \"pass_s\": %.6g, \"update_s\": "
               "%.6g, \"flops_per_token\": %.6g, \"gemm_gflops\": %.6g, \"share_of_gemm\": %.5g, "
               "\"peak_gflops\": %.6g, \"share_of_peak\": %.5g, \"peak_bytes\": %lld, "
               "\"planned_bytes\": %lld, \"loss_first\": %.9g, \"loss_last\": %.9g}\n",
               m->dims.layer, po->bf16 ? "bf16" : "fp32", bench_optim_name(oo),
               (long long)m->params.n,
               po->context, po->slice_tokens,
               po->micro_batch, o->threads, 1 / r->step_s, rate, tokens / r->forward_s,
               r->pass_s, r->update_s, flops, l->gemm, gflops / l->gemm, l->peak, gflops / l->peak,
               (long long)peak, (long long)memory->total, r->first, r->last);
        return;
    }
    printf("%s, %.1f M parameters, %d tokens in units of %d, %d at once, %d threads, %s, %s\n",
           m->dims.layer, 1e-6 * (double)m->params.n, po->context, po->slice_tokens,
           po->micro_batch, o->threads, po->bf16 ? "bf16" : REAL_DTYPE, bench_optim_name(oo));
    if (oo->kind == OPTIM_SOAP && b->setup.state.step <= oo->precondition_every)
        printf("  note      no step refreshed the bases: --steps %d and more does\n",
               oo->precondition_every);
    printf("  limits    %9.1f GFLOP/s is the peak of the cores, dense products reach %.1f, before and "
           "after\n", l->peak, l->gemm);
    printf("  work      %9.4f GFLOP a token: 6 per parameter in a product, 3 x the layers' own\n",
           1e-9 * flops);
    printf("  step      %9.3f s: forward and backward %.3f, optimizer %.3f\n", r->step_s,
           r->pass_s, r->update_s);
    printf("  training  %9.1f tokens/s = %.1f %% of the peak (MFU), %.1f %% of dense products\n",
           rate, 100 * gflops / l->peak, 100 * gflops / l->gemm);
    printf("  forward   %9.1f tokens/s\n", tokens / r->forward_s);
    printf("  memory    %s at most, planned %s\n", human_bytes(had, peak),
           human_bytes(planned, memory->total));
    printf("  verified  loss %.4f at first (ln V = %.4f), %.4f after %lld updates on the same "
           "tokens\n", r->first, log(m->dims.V), r->last, (long long)b->setup.state.step);
}

static int predict(struct memory *m, const struct conf *c)
{
    const struct grid_shape one = { 1, 1, 1 };
    struct memory_plan plan;
    struct run_shape shape;
    int rc;

    run_shape_of(&shape, c);
    shape.writers = shape.evaluates = 0;
    TRY(memory_plan_init(&plan, &shape));
    TRY(memory_plan_grid(&plan, &one));
    memory_of(m, &plan, 0);
out:
    memory_plan_done(&plan);
    return rc;
}

static int run(const struct request *q, const struct axis *world)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct bench_step b = { .targets = 0 };
    struct result r = { 0 };
    struct memory memory;
    int rc = OK;

    if (world->size > 1)
        TRY(fail(ERR_USAGE, "ttt bench train measures one process; ttt bench grid several"));
    TRY(bench_conf(c, q->file, &q->sets, q->tokens));
    snprintf(c->run.grid, sizeof c->run.grid, "1x1x1");
    c->train.batch_tokens = (int64_t)c->train.micro_batch * c->train.context;
    TRY(predict(&memory, c));
    TRY(bench_step_init(&b, c, world));
    TRY(measure(&b, &q->o, (int)q->steps, &r));
    print(&b, &q->o, &r, &memory);
out:
    bench_step_done(&b);
    mem_free(c);
    return rc;
}

int cmd_bench_train(int argc, char **argv)
{
    struct request q = { .steps = 3, .o = { .repeat = 5 } };
    int64_t threads = 0;
    struct arg_rest rest;
    struct axis world;
    int rc;
    const struct arg args[] = {
        { "threads", ARG_INT, &threads, "N", "number of threads; 0: OMP_NUM_THREADS or all cores" },
        { "tokens", ARG_INT, &q.tokens, "N", "tokens of a sequence (2048, or RUN.yaml's)" },
        { "steps", ARG_INT, &q.steps, "N", "number of timed steps (3)" },
        { "set", ARG_LIST, &q.sets, "KEY=VALUE", "override a key of RUN.yaml" },
        { "json", ARG_FLAG, &q.o.json, NULL, "print JSON" },
    };

    comm_first_reports();
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    if (rest.n > 1) return fail(ERR_USAGE, "usage: %s", USAGE);
    if (threads < 0 || threads > OPENMP_THREADS || q.steps < 1 || q.steps > 1000000 ||
        q.tokens < 0 || q.tokens > 1 << 24)
        return fail(ERR_USAGE, "ttt bench train: --threads, --tokens or --steps is out of range");
    if (rest.n) q.file = rest.v[0];
    if (threads) omp_set_num_threads((int)threads);
    q.o.threads = omp_get_max_threads();
    gemm_start();
    comm_start(&world);
    rc = run(&q, &world);
    comm_stop(&world);
out:
    return rc;
}
