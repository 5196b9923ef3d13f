#include <omp.h>
#include <string.h>

#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/kernels/gemm.h"

static const char about[] =
    "Measure this machine, and training on it. Results are verified before they are timed; times\n"
    "are medians.\n"
    "\n"
    "  gemm     rate of dense matrix products: the limit for training\n"
    "  stream   memory bandwidth\n"
    "  kernels  every elementwise kernel, compared with the memory bandwidth, and the inner\n"
    "           loop on one core, compared with dense products\n"
    "  layer    where the time of a layer goes, part by part; RUN.yaml gives the model\n"
    "           (without it TTT-Linear 125m)\n"
    "  decode   one sequence, token by token, compared with the rate of reading memory\n"
    "  prefill  a prompt of one slice, compared with the rate of products\n"
    "  rates    what ttt plan needs; also under mpirun (ttt bench rates --help)\n"
    "  train    training steps of one process (ttt bench train --help)\n"
    "  grid     training steps on a process grid (ttt bench grid --help)\n"
    "  comm     messages between processes (ttt bench comm --help)\n"
    "  eigen    matrix decompositions on several processes (ttt bench eigen --help)\n"
    "  prep     ttt prep, compared with the tokenizer's library (ttt bench prep --help)\n"
    "  store    shards, checkpoints, steps during a save (ttt bench store --help)\n"
    "  latency  prefill and decode by context, systems side by side (ttt bench latency --help)\n"
    "\n"
    "example\n"
    "  ttt bench layer config/mamba-125m.yaml --threads 2";

int cmd_bench(int argc, char **argv)
{
    struct arg_rest rest;
    struct arg_list sets = { 0 };
    int64_t threads = 0, repeat = 5;
    struct bench_opts o = { 0 };
    int rc = OK;
    double best;
    struct arg args[] = {
        { "threads", ARG_INT, &threads, "N", "threads; 0: OMP_NUM_THREADS or all cores" },
        { "repeat", ARG_INT, &repeat, "N", "timed repetitions (5)" },
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key of RUN.yaml" },
        { "json", ARG_FLAG, &o.json, NULL, "one JSON object a line" },
    };

    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt bench gemm|stream|kernels|layer|decode|prefill [RUN.yaml]", about));
    if (rest.n < 0) return OK;
    const char *file = rest.n == 2 ? rest.v[1] : NULL;
    const char *what = rest.n > 0 ? rest.v[0] : "";
    const int of_run = !strcmp(what, "layer") || !strcmp(what, "decode") ||
                       !strcmp(what, "prefill");
    if (rest.n < 1 || rest.n > 2 || (file && !of_run))
        return fail(ERR_USAGE, "ttt bench wants one of gemm, stream, kernels, or one of "
                               "layer, decode, prefill with a RUN.yaml or none");
    if (!of_run) TRY(args_only(&rest, what, "threads repeat json"));
    if (threads < 0 || threads > OPENMP_THREADS || repeat < 1 || repeat > 10000)
        return fail(ERR_USAGE, "ttt bench: --threads or --repeat is out of range");
    if (threads) omp_set_num_threads((int)threads);
    o.threads = omp_get_max_threads();
    o.repeat = (int)repeat;
    gemm_start();

    if (!strcmp(what, "gemm")) {
        rc = bench_gemm(&o, 1, 0, &best);
        if (rc == OK) rc = bench_gemm(&o, 1, 1, &best);
    } else if (!strcmp(what, "stream")) rc = bench_stream(&o, 1, &best, NULL);
    else if (!strcmp(what, "kernels")) {
        rc = bench_kernels(&o);
        if (rc == OK) rc = bench_inner(&o);
    } else if (!strcmp(what, "layer")) rc = bench_layer(&o, file, &sets);
    else if (!strcmp(what, "decode")) rc = bench_decode(&o, file, &sets, 0);
    else if (!strcmp(what, "prefill")) rc = bench_decode(&o, file, &sets, 1);
    else rc = fail(ERR_USAGE, "'%s' is no benchmark; ttt bench --help lists them", what);
out:
    return rc;
}
