/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench grid: training steps on a process grid, compared with the prediction of ttt plan. */
#include <omp.h>
#include <stdio.h>

#include "mpi/bench/bench_step.h"
#include "mpi/bench/cmd_bench.h"
#include "mpi/step/trace.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/bench/peak.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/forecast/forecast.h"
#include "src/kernels/gemm.h"

#define USAGE "mpirun -n RANKS ttt bench grid [RUN.yaml] --grid DxPxS"

static const char about[] =
    "Measure optimizer steps on random tokens on a process grid: seconds, tokens/s, their share\n"
    "of the arithmetic peak of all ranks (model FLOPs utilization), bytes sent, and with --rates\n"
    "(from ttt bench rates) next to them the prediction of ttt plan.\n"
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

/* Steps, and what this rank stood still for since the start, seconds. */
struct job {
    struct bench_step step;
    double            loss;      /* of the last step, nats */
    double            sums_s, weights_s;
    double            peak;      /* of all ranks, GFLOP/s  */
};

/* The peak while all ranks compute; the best of all calls counts. */
static void measure_peak(struct job *j)
{
    const struct axis *world = &j->step.setup.grid.world;
    struct peak p;

    mpi_do(MPI_Barrier(world->comm));
    peak_measure(&p, j->step.setup.step.pass.bf16, 5);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &p.gflops, 1, MPI_DOUBLE, MPI_SUM, world->comm));
    if (p.gflops > j->peak) j->peak = p.gflops;
}

/* One step; returns the seconds of the slowest rank. */
static double step(struct job *j, struct trace *trace)
{
    const struct axis *world = &j->step.setup.grid.world;
    struct step_result r;

    mpi_do(MPI_Barrier(world->comm));
    const double start = clock_s();
    bench_step_run(&j->step, &r, trace);
    double s = clock_s() - start;
    j->loss = r.loss;
    j->sums_s += r.sums_s;
    j->weights_s += r.weights_s;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &s, 1, MPI_DOUBLE, MPI_MAX, world->comm));
    return s;
}

/* Bytes of all ranks since the start, by enum sim_cargo; weights are counted with gradients. */
static void sent_so_far(const struct job *j, int64_t sent[SIM_CARGOES])
{
    const struct step_bytes b = stepper_bytes(j->step.stepper);
    sent[SIM_CARRIES] = b.carries;
    sent[SIM_HEADS] = b.heads;
    sent[SIM_ACTIVATIONS] = b.activations;
    sent[SIM_GRADIENTS] = b.sums;
    sent[SIM_WEIGHTS] = 0;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, sent, SIM_CARGOES, MPI_INT64_T, MPI_SUM,
                         j->step.setup.grid.world.comm));
}

/* What ranks waited for since the start: counts over all ranks, seconds as their mean. */
struct waits { double receives, there, carries_s, sums_s, weights_s; };

static struct waits waited_so_far(const struct job *j)
{
    const struct exec_waits e = stepper_waits(j->step.stepper);
    const double n = j->step.setup.grid.world.size;
    double v[5] = { (double)e.receives, (double)e.there, e.seconds / n, j->sums_s / n,
                    j->weights_s / n };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 5, MPI_DOUBLE, MPI_SUM, j->step.setup.grid.world.comm));
    return (struct waits){ v[0], v[1], v[2], v[3], v[4] };
}

/* The first step: is it the step that was meant, and did it send what ttt plan says? */
static int verify(const struct job *j, const int64_t sent[SIM_CARGOES], const struct forecast *f)
{
    static const char *const names[] = { "carries", "heads", "activations",
                                         "gradients and weights" };
    const int rc = bench_step_verify(&j->step, j->loss);

    if (rc != OK) return rc;
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
    const struct grid_shape *g = &j->step.setup.grid.shape;
    const double tokens = (double)j->step.setup.step.batch * j->step.setup.step.pass.context;
    const double share = 1e-9 * model_flops(j->step.setup.state.model,
                                            j->step.setup.step.pass.context) * tokens / s / j->peak;
    const int threads = omp_get_max_threads();
    const char *optim = bench_optim_name(&j->step.setup.step.optim);
    const long long bytes[] = { sent[SIM_CARRIES], sent[SIM_HEADS], sent[SIM_ACTIVATIONS],
                                sent[SIM_GRADIENTS] };

    if (q->json) {
        printf("{\"bench\": \"grid\", \"grid\": \"%dx%dx%d\", \"optimizer\": \"%s\", "
               "\"threads\": %d, \"step_s\": %.6g, \"tok_per_s\": %.6g, \"peak_gflops\": %.6g, "
               "\"share_of_peak\": %.5g, \"planned_s\": %.6g, "
               "\"planned_bubble\": %.6g, \"carry_bytes\": %lld, \"head_bytes\": %lld, "
               "\"activation_bytes\": %lld, \"sum_bytes\": %lld, \"receives\": %.0f, "
               "\"there\": %.0f, \"wait_carries\": %.4g, \"wait_sums\": %.4g, "
               "\"wait_weights\": %.4g, \"loss\": %.9g}\n",
               g->D, g->P, g->S, optim, threads, s, tokens / s, j->peak, share,
               f->sim.step_s, f->sim.bubble, bytes[0], bytes[1], bytes[2], bytes[3], w->receives,
               w->there, w->carries_s / all_s, w->sums_s / all_s, w->weights_s / all_s, j->loss);
        return;
    }
    printf("grid %dx%dx%d  %s  %d thread%s  step %.4f s  %.1f tokens/s = %.1f %% of the peak (MFU)  "
           "planned %.4f s  measured / planned %.3f\n", g->D, g->P, g->S, optim, threads,
           threads > 1 ? "s" : "", s, tokens / s, 100 * share, f->sim.step_s, s / f->sim.step_s);
    printf("  sent, as planned: %lld bytes of carries, %lld of heads, %lld of activations, %lld of "
           "gradients and weights\n", bytes[0], bytes[1], bytes[2], bytes[3]);
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
    TRY(forecast_init(f, &c, &j->step.setup.grid.shape, &r, 0));
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

    TRY(axis_agree(&j->step.setup.grid.world, plan(&f, j, c, q)));
    step(j, NULL);  /* touches all memory */
    measure_peak(j);
    sent_so_far(j, sent);
    TRY(verify(j, sent, &f));
    const struct waits first = waited_so_far(j);
    for (int i = 0; i < q->steps; i++) {
        trace_free(trace);
        trace = q->trace ? trace_new() : NULL;
        s[i] = step(j, trace);
        all_s += s[i];
    }
    measure_peak(j);
    if (q->trace) TRY(trace_write(trace, &j->step.setup.grid.world, q->trace));
    struct waits w = waited_so_far(j);
    w = (struct waits){ w.receives - first.receives, w.there - first.there,
                        w.carries_s - first.carries_s, w.sums_s - first.sums_s,
                        w.weights_s - first.weights_s };
    if (j->step.setup.grid.world.rank == 0)
        print(j, q, bench_median(s, (int)q->steps), all_s, &w, sent, &f);
out:
    trace_free(trace);
    forecast_done(&f);
    mem_free(s);
    return rc;
}

static int run(const struct request *q, const struct axis *world)
{
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct job j = { .loss = 0 };
    int rc;

    TRY(axis_agree(world, bench_conf(c, q->run, &q->sets, 0)));
    snprintf(c->run.grid, sizeof c->run.grid, "%s", q->grid);
    TRY(bench_step_init(&j.step, c, world));
    TRY(measure(&j, c, q));
out:
    bench_step_done(&j.step);
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
    rc = run(&q, &world);
    comm_stop(&world);
out:
    return rc;
}
