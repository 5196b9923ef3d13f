/* SPDX-License-Identifier: Apache-2.0 */
/* ttt train -- train a model as a configuration says, or resume its run. */
#include <omp.h>

#include "mpi/grid/comm.h"
#include "mpi/train/ranks.h"
#include "mpi/train/trainer.h"
#include "mpi/train/watchdog.h"
#include "src/base/mem.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/base/stop.h"
#include "src/bench/bench.h"
#include "src/bench/peak.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/conf/conf_model.h"
#include "src/infer/start_model.h"
#include "src/kernels/gemm.h"

static const char usage[] = "ttt train RUN.yaml [--set key=value ...]";
static const char about[] =
    "Train a model, or resume its run from the newest valid checkpoint.\n"
    "Under mpirun the processes form a grid of data, pipeline and sequence (context) parallelism.\n"
    "The line \"committed step N root HEX\" reports a checkpoint that is on disk and was read back;\n"
    "equal roots are equal training states, bit by bit. Files of a run: logs/README.md.\n"
    "\n"
    "examples\n"
    "  ttt train my.yaml --set optim.lr=1e-3\n"
    "  mpirun -n 8 ttt train my.yaml --grid 4x1x2\n"
    "\n"
    "SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU save after the current step and end\n"
    "the run with 85; under mpirun send SIGUSR1 to mpirun (table of signals: jobs/RUNS.md).\n"
    "exit codes: 0 all steps are done, 85 saved: repeat the command, 75 another process owns the\n"
    "run, 78 configuration or data do not fit, 87 diverged";

/* The limit that a profile is compared with, while all ranks work. */
static int measure(struct trainer_opts *o, const struct conf *c)
{
    if (c->run.threads > 0) omp_set_num_threads(c->run.threads);
    const struct bench_opts b = { .repeat = 3, .threads = omp_get_max_threads() };
    struct bench_limits l = { 0 };
    gemm_start();
    const int rc = bench_limits(&b, c->train.precision == PRECISION_BF16, &l);
    o->gflops = l.gemm;
    return rc;
}

/* That of all threads, in the 25 to 45 ms that a start can spare. */
static double peak(int in_bf16)
{
    struct peak p;
    peak_measure(&p, in_bf16, 5);
    return p.gflops;
}

int cmd_train(int argc, char **argv)
{
    static struct conf conf;  /* large */
    struct trainer_opts opts = { .peak = peak };
    struct arg_list sets = { 0 };
    struct arg_rest rest;
    struct axis world;
    const char *grid = NULL;
    char *set = NULL;
    const struct arg args[] = {
        { "grid", ARG_TEXT, &grid, "DxPxS",
          "process grid: data x pipeline x sequence parallelism (run.grid)" },
        { "trace", ARG_TARGET, &opts.trace, "FILE",
          "write the timeline of all ranks, for Chrome's trace viewer" },
        { "profile", ARG_FLAG, &opts.profile, NULL,
          "report at the end where the time went, and the rate of dense products" },
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key of the configuration" },
        { "allow-config-change", ARG_FLAG, &opts.allow_config_change, NULL,
          "resume although keys changed that change the result" },
        { "allow-data-change", ARG_FLAG, &opts.allow_data_change, NULL,
          "resume although the training data changed" },
        { "allow-numerics-change", ARG_FLAG, &opts.allow_numerics_change, NULL,
          "resume although this machine or build rounds differently" },
        { "takeover", ARG_FLAG, &opts.takeover, NULL,
          "take the run over from a process that owns it and may still run" },
    };
    int rc = OK;

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, usage, about));
    if (rest.n < 0) return OK;
    if (rest.n != 1) TRY(fail(ERR_USAGE, "one RUN.yaml is needed: %s", usage));
    stop_catch();
    if (comm_started()) stop_with_parent();
    output_optional();
    comm_first_reports();
    if (grid && sets.n < (int)(sizeof sets.v / sizeof *sets.v))
        sets.v[sets.n++] = set = mem_format("run.grid=%s", grid);
    rc = conf_read(&conf, rest.v[0], sets.v, sets.n, &start_models);
    if (rc != OK && !comm_several()) goto out;
    if (rc == OK) watchdog_start(&conf);
    comm_start(&world);
    watchdog_agree(&world);
    if (comm_started()) {
        if (rc == OK && conf.run.threads > 0) omp_set_num_threads(conf.run.threads);
        ranks_report(rc == OK ? conf.run.dir : NULL, &world);
    }
    if (rc == OK && opts.profile) rc = measure(&opts, &conf);
    rc = axis_agree(&world, rc);  /* it may be wrong for one rank only */
    if (rc == OK) conf_report_model(&conf);
    if (rc == OK) rc = trainer_run(&conf, &opts, &world);
    comm_stop(&world);
    watchdog_stop();
out:
    mem_free(set);
    return rc;
}
