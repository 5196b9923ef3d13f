/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.c -- ttt bench: the table of what can be measured. */
#include "mpi/bench/cmd_bench.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"

const struct command bench_parts[] = {
    { "gemm", cmd_bench_machine, .about = "the arithmetic peak and matrix products, the limits for training" },
    { "stream", cmd_bench_machine, .about = "the memory bandwidth" },
    { "kernels", cmd_bench_machine, .about = "elementwise kernels, and the inner loop on one core" },
    { "layer", cmd_bench_machine, .about = "where the time of a layer goes, part by part" },
    { "decode", cmd_bench_machine, .about = "one sequence, token by token" },
    { "prefill", cmd_bench_machine, .about = "a prompt of one slice" },
    { "rates", cmd_bench_rates, .about = "what ttt plan needs; also under mpirun" },
    { "train", cmd_bench_train, .about = "training steps of one process" },
    { "grid", cmd_bench_grid, .about = "training steps on a process grid" },
    { "comm", cmd_bench_comm, .about = "messages between processes" },
    { "eigen", cmd_bench_eigen, .about = "matrix decompositions on several processes" },
    { "prep", cmd_bench_prep, .about = "ttt prep, compared with the tokenizer's library" },
    { "store", cmd_bench_store, .about = "shards, checkpoints, steps during a save" },
    { "latency", cmd_bench_latency, .about = "prefill and decode by context, systems side by side" },
    { .name = NULL },
};

static char *about(void)
{
    char *text = mem_string("Measure this machine, and training on it. Results are verified before "
                            "they are timed; times\nare medians.\n\n");
    for (const struct command *p = bench_parts, *end = NULL; !end; p++) {
        if (!p->name) end = p;
        char *more = !end ? mem_format("%s  %-8s %s\n", text, p->name, p->about)
                          : mem_format("%s\nttt bench NAME --help prints the options of one.\n\n"
                                            "example\n  ttt bench gemm --threads 2", text);
        mem_free(text);
        text = more;
    }
    return text;
}

int cmd_bench(int argc, char **argv)
{
    struct arg_rest rest;

    if (argc > 1 && argv[1][0] != '-') {
        for (const struct command *p = bench_parts; p->name; p++)
            if (!strcmp(argv[1], p->name)) return p->run(argc - 1, argv + 1);
        return fail(ERR_USAGE, "'%s' is not a benchmark; ttt bench --help lists them", argv[1]);
    }
    char *text = about();
    const int rc = args_parse(&rest, argc, argv, NULL, 0, "ttt bench NAME [ARGUMENT ...]", text);
    mem_free(text);
    if (rc != OK || rest.n < 0) return rc;
    return fail(ERR_USAGE, "expected the name of a benchmark; ttt bench --help lists them");
}
