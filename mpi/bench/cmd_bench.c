#include <omp.h>
#include <string.h>

#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/kernels/gemm.h"

static const char about[] =
    "Measure this machine.\n\n"
    "  gemm     rate of dense matrix products: the limit for training\n"
    "  stream   memory bandwidth\n"
    "  kernels  every elementwise kernel beside the memory bandwidth, and the inner\n"
    "           loop on one core beside dense products\n"
    "  layer    a layer by part: where its time goes; RUN.yaml says of which model,\n"
    "           without it TTT-Linear 125m\n"
    "  decode   one sequence, token by token, beside the rate of reading memory\n"
    "  prefill  a prompt of a slice, beside the rate of products\n"
    "  rates    what ttt plan needs; also under mpirun (ttt bench rates --help)\n"
    "  train    training steps of one process (ttt bench train --help)\n"
    "  grid     training steps on a process grid (ttt bench grid --help)\n"
    "  comm     messages between processes (ttt bench comm --help)\n"
    "  eigen    decompositions on several processes (ttt bench eigen --help)\n"
    "  prep     ttt prep beside the tokenizer's library (ttt bench prep --help)\n"
    "  store    shards, checkpoints, steps beside a save (ttt bench store --help)\n"
    "  latency  reading and generating behind long contexts (ttt bench latency --help)\n\n"
    "What is timed is verified. Times are medians.";

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
