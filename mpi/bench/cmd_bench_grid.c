/* ttt bench grid: training steps on a process grid, beside what ttt plan says of them. */
#include <math.h>
#include <omp.h>
#include <stdio.h>

#include "mpi/bench/cmd_bench.h"
#include "mpi/state/train_state.h"
#include "mpi/step/reduce.h"
#include "mpi/step/step_exec.h"
#include "mpi/step/trace.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/forecast/forecast.h"
#include "src/kernels/gemm.h"
#include "src/optim/adamw.h"

#define USAGE "mpirun -n RANKS ttt bench grid [RUN.yaml] --grid DxPxS"

static const char about[] =
    "Measure optimizer steps on random tokens on a process grid: seconds, tokens/s, bytes sent,\n"
    "and with --rates (from ttt bench rates) next to them the prediction of ttt plan.\n"
    "The loss and the bytes of carries are verified first. Times are medians of the slowest rank.\n"
    "A prediction assumes that ranks start together and that nothing else runs.\n"
    "\n"
    "example\n"
    "  mpirun -n 2 ttt bench grid config/ttt-linear-125m.yaml --grid 1x1x2";

struct request {
    const char     *run, *grid, *rates, *trace;
    struct arg_list sets;
    int64_t         threads, steps;
    int             json;
};

/* Everything a step works on. */
struct job {
    struct grid       grid;
    struct train_state st;       /* as the trainer has it                              */
    struct model     *m;         /* its model and reducer                              */
    struct reducer   *reducer;
    struct pass_opts  po;
    struct optim_opts oo;
    int64_t           sequences, stride;
    struct step_exec *exec;
    struct grad       grad;
    int32_t          *windows;   /* (q1 - q0, stride) tokens of our units and one more */
    int64_t          *valid;
    double            loss;      /* of the last step, nats                             */
    double            sums_s, weights_s;  /* this rank stood still for, since the start */
};

static void fill_windows(struct job *j, uint64_t seed)
{
    const struct share *a = step_exec_share(j->exec);
    const int64_t from = (int64_t)a->u0 * j->po.slice_tokens;
    const int64_t last = (int64_t)a->u1 * j->po.slice_tokens;
    const uint64_t key = rng_key(seed, "tokens");

    j->stride = (last < j->po.context ? last : j->po.context) - from + 1;
    j->windows = mem_new((a->q1 - a->q0) * j->stride, sizeof *j->windows, "tokens");
    j->valid = mem_new(a->q1 - a->q0, sizeof *j->valid, "tokens");
    for (int64_t q = a->q0; q < a->q1; q++) {
        j->valid[q - a->q0] = j->po.context;
        for (int64_t i = 0; i < j->stride; i++)
            j->windows[(q - a->q0) * j->stride + i] =
                (int32_t)(rng_u64(key, (uint64_t)(q * (j->po.context + 1) + from + i)) %
                          (uint64_t)j->m->dims.V);
    }
}

static int job_init(struct job *j, const struct conf *c)
{
    struct dims d;
    const struct span *held;
    int rc;

    conf_dims(c, &d);
    conf_pass(c, &j->po, -1);
    conf_optim(c, &j->oo);
    j->oo.warmup_steps = 0;  /* all steps move the weights */
    j->sequences = c->train.batch_tokens / c->train.context;
    TRY(train_state_new(&j->st, &d, c->run.seed, &j->grid));
    j->m = j->st.model;
    j->reducer = j->st.reducer;
    train_state_optim(&j->st, &j->oo);
    model_init(j->m, (uint64_t)c->run.seed);
    if (j->po.bf16) model_use_bf16(j->m, 1);
    grad_init(&j->grad, &j->m->params, (enum reduction)c->train.reduction);
    const int n = reducer_holds(j->reducer, &held);
    grad_hold(&j->grad, held, n);
    train_state_changed(&j->st);
    reducer_attach(j->reducer, &j->grad);
    j->exec = step_exec_new(&j->grid, j->m, &j->po, j->sequences);
    fill_windows(j, (uint64_t)c->run.seed);
out:
    return rc;
}

static void job_done(struct job *j)
{
    step_exec_free(j->exec);
    if (j->m) grad_done(&j->grad);
    train_state_done(&j->st);
    mem_free(j->windows);
    mem_free(j->valid);
}

/* Loss and norm of all ranks. */
static double agree(struct job *j, const struct pass_sums *sums)
{
    const struct span *own;
    struct fixed part;
    const int n = reducer_spans(j->reducer, &own);
    int64_t v[5];

    v[4] = !grad_sumsq_part(&j->grad, own, n, &part) || sums->bad;
    v[0] = sums->loss.hi;
    v[1] = sums->loss.lo;
    v[2] = part.hi;
    v[3] = part.lo;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 5, MPI_INT64_T, MPI_SUM, j->grid.world.comm));
    j->loss = v[4] ? NAN : fixed_value((struct fixed){ v[0], v[1] }) / (double)j->sequences;
    return sqrt(fixed_value((struct fixed){ v[2], v[3] }));
}

/* One step; returns the seconds of the slowest rank. */
static double step(struct job *j, struct trace *trace)
{
    struct pass_sums sums = { 0 };

    mpi_do(MPI_Barrier(j->grid.world.comm));
    const double start = clock_s();
    grad_begin(&j->grad, j->sequences * pass_units(&j->po));
    step_exec_run(j->exec, j->windows, j->stride, j->valid, &j->grad, j->reducer, &sums, trace);
    double begin = clock_s();
    reducer_end(j->reducer);
    j->sums_s += clock_s() - begin;
    const double factor = clip_factor(&j->oo, agree(j, &sums));
    train_state_update(&j->st, &j->oo, &j->grad, factor);
    j->st.step++;
    begin = clock_s();
    reducer_gather(j->reducer, j->m->w);
    j->weights_s += clock_s() - begin;
    train_state_changed(&j->st);
    double s = clock_s() - start;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &s, 1, MPI_DOUBLE, MPI_MAX, j->grid.world.comm));
    return s;
}

/* Bytes of all ranks since the start, by enum sim_cargo; weights are counted with gradients. */
static void sent_so_far(const struct job *j, int64_t sent[SIM_CARGOES])
{
    const struct exec_bytes b = step_exec_bytes(j->exec);
    sent[SIM_CARRIES] = b.carries;
    sent[SIM_HEADS] = b.heads;
    sent[SIM_ACTIVATIONS] = b.activations;
    sent[SIM_GRADIENTS] = reducer_bytes(j->reducer);
    sent[SIM_WEIGHTS] = 0;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, sent, SIM_CARGOES, MPI_INT64_T, MPI_SUM,
                         j->grid.world.comm));
}

/* What ranks waited for since the start: counts over all ranks, seconds as their mean. */
struct waits { double receives, there, carries_s, sums_s, weights_s; };

static struct waits waited_so_far(const struct job *j)
{
    const struct exec_waits e = step_exec_waits(j->exec);
    const double n = j->grid.world.size;
    double v[5] = { (double)e.receives, (double)e.there, e.seconds / n, j->sums_s / n,
                    j->weights_s / n };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 5, MPI_DOUBLE, MPI_SUM, j->grid.world.comm));
    return (struct waits){ v[0], v[1], v[2], v[3], v[4] };
}

/* The first step: is it the step that was meant, and did it send what ttt plan says? */
static int verify(const struct job *j, const int64_t sent[SIM_CARGOES], const struct forecast *f)
{
    static const char *const names[] = { "carries", "heads", "activations",
                                         "gradients and weights" };
    const double V = j->m->dims.V;

    if (!(fabs(j->loss - log(V)) < 0.1 * log(V)))
        return fail(ERR_DATA, "the first loss is %g, not near ln %g = %g", j->loss, V, log(V));
    for (int i = 0; i <= SIM_GRADIENTS; i++) {
        int64_t said = sim_bytes(&f->sim, i, 0) + sim_bytes(&f->sim, i, 1);
        if (i == SIM_GRADIENTS)
            said += sim_bytes(&f->sim, SIM_WEIGHTS, 0) + sim_bytes(&f->sim, SIM_WEIGHTS, 1);
        if (sent[i] != said)
            return fail(ERR_DATA, "a step sent %lld bytes of %s; planned were %lld",
                        (long long)sent[i], names[i], (long long)said);
    }
    return OK;
}

/* w: of all timed steps, which took all_s. */
static void print(const struct job *j, const struct request *q, double s, double all_s,
                  const struct waits *w, const int64_t sent[SIM_CARGOES], const struct forecast *f)
{
    const struct grid_shape *g = &j->grid.shape;
    const double tokens = (double)j->sequences * j->po.context;
    const int threads = omp_get_max_threads();
    const long long bytes[] = { sent[SIM_CARRIES], sent[SIM_HEADS], sent[SIM_ACTIVATIONS],
                                sent[SIM_GRADIENTS] };

    if (q->json) {
        printf("{\"bench\": \"grid\", \"grid\": \"%dx%dx%d\", \"optimizer\": \"%s\", "
               "\"threads\": %d, \"step_s\": %.6g, \"tok_per_s\": %.6g, \"planned_s\": %.6g, "
               "\"planned_bubble\": %.6g, \"carry_bytes\": %lld, \"head_bytes\": %lld, "
               "\"activation_bytes\": %lld, \"sum_bytes\": %lld, \"receives\": %.0f, "
               "\"there\": %.0f, \"wait_carries\": %.4g, \"wait_sums\": %.4g, "
               "\"wait_weights\": %.4g, \"loss\": %.9g}\n",
               g->D, g->P, g->S, bench_optim_name(&j->oo), threads, s, tokens / s, f->sim.step_s,
               f->sim.bubble, bytes[0], bytes[1], bytes[2], bytes[3], w->receives, w->there,
               w->carries_s / all_s, w->sums_s / all_s, w->weights_s / all_s, j->loss);
        return;
    }
    printf("grid %dx%dx%d  %s  %d thread%s  step %.4f s  %.1f tokens/s  planned %.4f s  measured / "
           "planned %.3f\n  sent, as planned: %lld bytes of carries, %lld of heads, %lld of "
           "activations, %lld of gradients and weights\n", g->D, g->P, g->S,
           bench_optim_name(&j->oo), threads, threads > 1 ? "s" : "", s, tokens / s,
           f->sim.step_s, s / f->sim.step_s, bytes[0], bytes[1], bytes[2], bytes[3]);
    printf("  of the time, ranks waited %.1f %% for carries and activations (%.0f of %.0f were there "
           "before they were needed), %.1f %% for sums, %.1f %% for weights\n",
           100 * w->carries_s / all_s, w->there, w->receives, 100 * w->sums_s / all_s,
           100 * w->weights_s / all_s);
}

static int plan(struct forecast *f, const struct job *j, const struct conf *conf,
                const struct request *q)
{
    struct cost c = { 0 };
    struct rates r;
    int rc;

    TRY(rates_read(&r, q->rates));
    TRY(forecast_cost(&c, conf, &r));
    TRY(forecast_init(f, &c, &j->grid.shape, &r, 0));
out:
    cost_done(&c);
    return rc;
}

static int measure(struct job *j, const struct conf *c, const struct request *q)
{
    struct forecast f = { .nodes = 0 };
    struct trace *trace = NULL;
    double *s = mem_new(q->steps, sizeof *s, "times");
    int64_t sent[SIM_CARGOES];
    double all_s = 0;
    int rc;

    TRY(axis_agree(&j->grid.world, plan(&f, j, c, q)));
    step(j, NULL);  /* touches all memory */
    sent_so_far(j, sent);
    TRY(verify(j, sent, &f));
    const struct waits first = waited_so_far(j);
    for (int i = 0; i < q->steps; i++) {
        trace_free(trace);
        trace = q->trace ? trace_new() : NULL;
        s[i] = step(j, trace);
        all_s += s[i];
    }
    if (q->trace) TRY(trace_write(trace, &j->grid.world, q->trace));
    struct waits w = waited_so_far(j);
    w = (struct waits){ w.receives - first.receives, w.there - first.there,
                        w.carries_s - first.carries_s, w.sums_s - first.sums_s,
                        w.weights_s - first.weights_s };
    if (j->grid.world.rank == 0)
        print(j, q, bench_median(s, (int)q->steps), all_s, &w, sent, &f);
out:
    trace_free(trace);
    forecast_done(&f);
    mem_free(s);
    return rc;
}

static int run(const struct request *q, const struct grid_shape *shape, const struct axis *world)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct job j = { .sequences = 0 };
    int rc;

    TRY(axis_agree(world, bench_conf(c, q->run, &q->sets, 0)));
    TRY(grid_init(&j.grid, world, shape));
    const struct step_shape w = { .L = c->model.layers, .micro_batch = c->train.micro_batch,
                                  .U = (c->train.context + c->train.slice_tokens - 1) /
                                       c->train.slice_tokens,
                                  .sequences = mpi_count(c->train.batch_tokens /
                                                         c->train.context) };
    rc = share_check(shape, &w);
    if (rc == OK) rc = axis_agree(world, job_init(&j, c));
    if (rc == OK) rc = measure(&j, c, q);
    job_done(&j);
    grid_done(&j.grid);
out:
    mem_free(c);
    return rc;
}

int cmd_bench_grid(int argc, char **argv)
{
    struct request q = { .steps = 3 };
    struct grid_shape shape;
    struct arg_rest rest;
    struct axis world;
    int rc;
    const struct arg args[] = {
        { "grid", ARG_TEXT, &q.grid, "DxPxS",
          "process grid: data x pipeline x sequence parallelism" },
        { "rates", ARG_TEXT, &q.rates, "FILE", "the machine, from ttt bench rates" },
        { "threads", ARG_INT, &q.threads, "N",
          "threads of a rank; 0: OMP_NUM_THREADS or all cores" },
        { "steps", ARG_INT, &q.steps, "N", "number of timed steps (3)" },
        { "set", ARG_LIST, &q.sets, "KEY=VALUE", "override a key of RUN.yaml" },
        { "trace", ARG_TARGET, &q.trace, "FILE",
          "write the timeline of the last step for Chrome's trace viewer" },
        { "json", ARG_FLAG, &q.json, NULL, "print JSON" },
    };

    comm_first_reports();
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    if (rest.n > 1 || !q.grid) return fail(ERR_USAGE, "usage: %s", USAGE);
    if (q.threads < 0 || q.threads > OPENMP_THREADS || q.steps < 1 || q.steps > 1000000)
        return fail(ERR_USAGE, "ttt bench grid: --threads or --steps is out of range");
    if (rest.n) q.run = rest.v[0];
    TRY(grid_parse(&shape, q.grid));
    if (q.threads) omp_set_num_threads((int)q.threads);
    gemm_start();
    comm_start(&world);
    rc = run(&q, &shape, &world);
    comm_stop(&world);
out:
    return rc;
}
