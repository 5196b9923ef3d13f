/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench_machine.c -- the parts of ttt bench that measure one process without messages. */
#include <omp.h>
#include <string.h>

#include "mpi/bench/cmd_bench.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/kernels/gemm.h"

static int run_stream(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    double best;
    (void)file, (void)sets;
    return bench_stream(o, 1, &best, NULL);
}

static int run_kernels(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    (void)file, (void)sets;
    const int rc = bench_kernels(o);
    return rc == OK ? bench_inner(o) : rc;
}

static int run_decode(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    return bench_decode(o, file, sets, 0);
}

static int run_prefill(const struct bench_opts *o, const char *file, const struct arg_list *sets)
{
    return bench_decode(o, file, sets, 1);
}

/* of_run: a RUN.yaml gives the model, without it TTT-Linear 125m. */
static const struct {
    const char *name;
    int         of_run;
    int       (*run)(const struct bench_opts *o, const char *file, const struct arg_list *sets);
    const char *about;
} parts[] = {
    { "gemm", 1, bench_gemm,
      "Measure the arithmetic peak of the cores, which is what multiply-adds in registers reach,\n"
      "and compared with it the matrix products of a model in fp32 and bf16, forward and backward,\n"
      "made by this program and by every library that can. RUN.yaml gives the model (without it\n"
      "TTT-Linear 125m and the largest layers of 1.3b).\n\n"
      "example\n"
      "  ttt bench gemm --threads 2 --repeat 10" },
    { "stream", 0, run_stream,
      "Measure the memory bandwidth: triad (a = b + 3 c) and reading.\n\n"
      "example\n"
      "  ttt bench stream --threads 2" },
    { "kernels", 0, run_kernels,
      "Measure every elementwise kernel, compared with the memory bandwidth, and the inner loop of a\n"
      "head on one core, compared with dense products there and with the arithmetic peak.\n\n"
      "example\n"
      "  ttt bench kernels --repeat 20" },
    { "layer", 1, bench_layer,
      "Measure where the time of a layer goes, part by part, forward and backward, compared with\n"
      "the rate of products and the arithmetic peak. RUN.yaml gives the model (without it\n"
      "TTT-Linear 125m).\n\n"
      "example\n"
      "  ttt bench layer config/mamba-125m.yaml --threads 2" },
    { "decode", 1, run_decode,
      "Measure one sequence, token by token, compared with the rate of reading memory. RUN.yaml gives\n"
      "the model (without it TTT-Linear 125m).\n\n"
      "example\n"
      "  ttt bench decode config/mamba-125m.yaml --threads 2" },
    { "prefill", 1, run_prefill,
      "Measure a prompt of one slice, compared with the rate of products and the arithmetic peak.\n"
      "RUN.yaml gives the model (without it TTT-Linear 125m).\n\n"
      "example\n"
      "  ttt bench prefill config/mamba-125m.yaml --threads 2" },
};

int cmd_bench_machine(int argc, char **argv)
{
    struct arg_rest rest;
    struct arg_list sets = { 0 };
    int64_t threads = 0, repeat = 5;
    struct bench_opts o = { 0 };
    int part = 0;
    const struct arg args[] = {
        { "threads", ARG_INT, &threads, "N", "number of threads; 0: OMP_NUM_THREADS or all cores" },
        { "repeat", ARG_INT, &repeat, "N", "number of timed repetitions (5)" },
        { "json", ARG_FLAG, &o.json, NULL, "one JSON object a line" },
        { "set", ARG_LIST, &sets, "KEY=VALUE", "override a key of RUN.yaml" },
    };

    while (strcmp(parts[part].name, argv[0]) != 0) part++;
    const int of_run = parts[part].of_run;
    char *usage = mem_format("ttt bench %s%s", argv[0], of_run ? " [RUN.yaml]" : "");
    int rc = args_parse(&rest, argc, argv, args, of_run ? 4 : 3, usage, parts[part].about);
    if (rc == OK && rest.n > of_run) rc = fail(ERR_USAGE, "usage: %s", usage);
    mem_free(usage);
    if (rc != OK || rest.n < 0) return rc;
    if (threads < 0 || threads > OPENMP_THREADS || repeat < 1 || repeat > 10000)
        return fail(ERR_USAGE, "ttt bench %s: --threads or --repeat is out of range",
                    parts[part].name);
    if (threads) omp_set_num_threads((int)threads);
    o.threads = omp_get_max_threads();
    o.repeat = (int)repeat;
    gemm_start();
    return parts[part].run(&o, rest.n ? rest.v[0] : NULL, &sets);
}
