/* ttt bench train: training steps of one process on random tokens, with the trainer's update. */
#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "mpi/bench/cmd_bench.h"
#include "mpi/state/train_state.h"
#include "mpi/step/reduce.h"
#include "src/base/clock.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/kernels/gemm.h"
#include "src/forecast/memory.h"
#include "src/model/pass.h"
#include "src/optim/adamw.h"

#define USAGE "ttt bench train [RUN.yaml]"

static const char about[] =
    "Measure training steps on random tokens by one process: tokens/s, memory, and the share of the\n"
    "rate of dense products, which is measured in the same run. RUN.yaml gives the model and the\n"
    "optimizer (without it TTT-Linear 125m with AdamW). Times are medians; of SOAP's update, which\n"
    "refreshes its bases in some steps only, the mean.\n"
    "\n"
    "example\n"
    "  ttt bench train config/mamba-125m.yaml --threads 2";

struct request {
    const char       *file;
    struct arg_list   sets;
    int64_t           tokens, steps;
    struct bench_opts o;
};

/* Everything a step works on. */
struct job {
    struct grid       grid;
    struct train_state st;      /* as the trainer has it */
    struct model     *m;        /* its model             */
    struct pass      *pass;
    struct grad       grad;
    struct pass_opts  po;
    struct optim_opts oo;
    int32_t          *windows;  /* (B, context + 1) */
    double            loss;     /* of the last pass, nats */
};

/* What was measured. */
struct result {
    double pass_s, update_s, forward_s, step_s;  /* medians              */
    double first, last;                          /* loss                 */
    double gflops;                               /* the limit            */
};

static int job_init(struct job *j, const struct conf *c)
{
    struct dims d;
    int rc;

    conf_dims(c, &d);
    conf_pass(c, &j->po, -1);
    conf_optim(c, &j->oo);
    j->oo.warmup_steps = 0;  /* all steps move the weights */
    TRY(model_check_window(&d, j->po.context));
    TRY(train_state_new(&j->st, &d, c->run.seed, &j->grid));
    j->m = j->st.model;
    train_state_optim(&j->st, &j->oo);
    model_init(j->m, (uint64_t)c->run.seed);
    if (j->po.bf16) model_use_bf16(j->m, 1);
    train_state_changed(&j->st);
    grad_init(&j->grad, &j->m->params, (enum reduction)c->train.reduction);
    reducer_attach(j->st.reducer, &j->grad);
    j->pass = pass_new(j->m, &j->po);
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
    if (j->m) grad_done(&j->grad);
    train_state_done(&j->st);
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
    train_state_update(&j->st, &j->oo, &j->grad, clip_factor(&j->oo, norm));
    j->st.step++;
    reducer_gather(j->st.reducer, j->m->w);
    train_state_changed(&j->st);
    return clock_s() - start;
}

/* The limit again, so that a busy neighbour slows both alike; the best counts. */
static int limit(const struct bench_opts *o, int in_bf16, double *best)
{
    const struct bench_opts few = { .repeat = 3, .threads = o->threads };
    double now;
    const int rc = bench_gemm(&few, 0, in_bf16, &now);
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

static double mean(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += v[i];
    return sum / n;
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
    r->update_s = j->oo.kind == OPTIM_SOAP ? mean(u, steps) : bench_median(u, steps);
    r->step_s = j->oo.kind == OPTIM_SOAP ? r->pass_s + r->update_s : bench_median(both, steps);
    r->forward_s = bench_median(f, steps);
    rc = verify(r, j->m->dims.V);
out:
    mem_free(s);
    return rc;
}

static void print(const struct job *j, const struct bench_opts *o, const struct result *r,
                  const struct memory *memory)
{
    const double tokens = (double)j->po.context * j->po.micro_batch;
    const double flops = model_flops(j->m, j->po.context);
    const double rate = tokens / r->step_s, share = rate * flops * 1e-9 / r->gflops;
    const int64_t peak = mem_peak_resident();
    char had[HUMAN_TEXT], planned[HUMAN_TEXT];

    if (o->json) {
        printf("{\"bench\": \"train\", \"layer\": \"%s\", \"precision\": \"%s\", "
               "\"optimizer\": \"%s\", \"parameters\": %lld, \"context\": %d, \"slice_tokens\": %d, \"micro_batch\": %d, \"threads\": %d, \"steps_per_s\": %.6g, "
               "\"tok_per_s\": %.6g, \"forward_tok_per_s\": %.6g, \"pass_s\": %.6g, \"update_s\": "
               "%.6g, \"flops_per_token\": %.6g, \"gemm_gflops\": %.6g, \"share_of_gemm\": %.5g, "
               "\"peak_bytes\": %lld, \"planned_bytes\": %lld, \"loss_first\": %.9g, "
               "\"loss_last\": %.9g}\n",
               j->m->dims.layer, j->po.bf16 ? "bf16" : "fp32", bench_optim_name(&j->oo),
               (long long)j->m->params.n,
               j->po.context, j->po.slice_tokens,
               j->po.micro_batch, o->threads, 1 / r->step_s, rate, tokens / r->forward_s,
               r->pass_s, r->update_s, flops, r->gflops, share, (long long)peak,
               (long long)memory->total, r->first, r->last);
        return;
    }
    printf("%s, %.1f M parameters, %d tokens in units of %d, %d at once, %d threads, %s, %s\n",
           j->m->dims.layer, 1e-6 * (double)j->m->params.n, j->po.context, j->po.slice_tokens,
           j->po.micro_batch, o->threads, j->po.bf16 ? "bf16" : REAL_DTYPE, bench_optim_name(&j->oo));
    if (j->oo.kind == OPTIM_SOAP && j->st.step <= j->oo.precondition_every)
        printf("  note      no step refreshed the bases: --steps %d and more does\n",
               j->oo.precondition_every);
    printf("  limit     %9.1f GFLOP/s in dense products, measured before and after\n", r->gflops);
    printf("  work      %9.4f GFLOP a token: 6 per parameter in a product, 3 x the layers' own\n",
           1e-9 * flops);
    printf("  step      %9.3f s: forward and backward %.3f, optimizer %.3f\n", r->step_s,
           r->pass_s, r->update_s);
    printf("  training  %9.1f tokens/s = %.1f %% of the limit\n", rate, 100 * share);
    printf("  forward   %9.1f tokens/s\n", tokens / r->forward_s);
    printf("  memory    %s at most, planned %s\n", human_bytes(had, peak),
           human_bytes(planned, memory->total));
    printf("  verified  loss %.4f at first (ln V = %.4f), %.4f after %lld updates on the same "
           "tokens\n", r->first, log(j->m->dims.V), r->last, (long long)j->st.step);
}

static int run(const struct request *q, const struct axis *world)
{
    const struct grid_shape one = { 1, 1, 1 };
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct job j = { .loss = 0 };
    struct result r = { 0 };
    struct memory_plan plan = { .shape = NULL };
    struct run_shape shape;
    struct memory memory;
    int rc = OK;

    if (world->size > 1)
        TRY(fail(ERR_USAGE, "ttt bench train measures one process; ttt bench grid several"));
    TRY(bench_conf(c, q->file, &q->sets, q->tokens));
    TRY(grid_init(&j.grid, world, &one));
    TRY(job_init(&j, c));
    run_shape_of(&shape, c);
    shape.writers = shape.evaluates = 0;
    TRY(memory_plan_init(&plan, &shape));
    TRY(memory_plan_grid(&plan, &one));
    memory_of(&memory, &plan, 0);
    TRY(measure(&j, &q->o, (int)q->steps, &r));
    print(&j, &q->o, &r, &memory);
out:
    memory_plan_done(&plan);
    job_done(&j);
    if (j.grid.world.size) grid_done(&j.grid);
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
