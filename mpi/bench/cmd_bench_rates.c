/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench rates: what ttt plan has to know of a machine. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "mpi/bench/cmd_bench.h"
#include "mpi/bench/pingpong.h"
#include "mpi/grid/comm.h"
#include "src/base/file.h"
#include "src/base/limit.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"
#include "src/forecast/rates.h"
#include "src/kernels/gemm.h"

#define USAGE "ttt bench rates [RUN.yaml]"

static const char about[] =
    "Measure what ttt plan needs: the rate of matrix products and of memory, and the share of\n"
    "them that the layers of RUN.yaml reach (TTT-Linear 125m without it). Prints a YAML file of\n"
    "rates, to be edited for machines that are not at hand.\n"
    "\n"
    "Ranks of a node share its memory, so start as many as a run will have:\n"
    "  mpirun -n 2 ttt bench rates RUN.yaml --threads 1 --out rates.yaml\n"
    "All ranks measure at once. With two ranks messages are timed, too, and with ranks on two\n"
    "nodes those between nodes; what was not measured is assumed, and reported as assumed.";

struct request {
    const char     *run, *out;
    struct arg_list sets;
    int64_t         threads, repeat;
    int             json;
};

static void together(const struct axis *world) { mpi_do(MPI_Barrier(world->comm)); }

/* The mean over ranks, everywhere. */
static double mean(const struct axis *world, double x)
{
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &x, 1, MPI_DOUBLE, MPI_SUM, world->comm));
    return x / world->size;
}

/* rank.*, share.*; every rank measures while the others do. */
static int measure_ranks(const struct request *q, const struct axis *world, struct rates *r)
{
    const struct bench_opts o = { .repeat = (int)q->repeat, .threads = omp_get_max_threads() };
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct bench_limits l = { 0 };
    int rc;

    TRY(axis_agree(world, bench_conf(c, q->run, &q->sets, 0)));
    together(world);
    TRY(axis_agree(world, bench_limits(&o, 0, &l)));
    r->rank.fp32_gflops = l.gemm;
    together(world);
    TRY(axis_agree(world, bench_stream(&o, 0, &r->rank.memory_gbytes,
                                        NULL)));
    together(world);
    TRY(axis_agree(world, bench_layers(&o, c, r)));
    double *const rates[] = { &r->rank.fp32_gflops, &r->rank.memory_gbytes, &r->share.forward,
                              &r->share.backward, &r->share.head };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) *rates[i] = mean(world, *rates[i]);
    r->rank.threads = o.threads;
out:
    mem_free(c);
    return rc;
}

/* node.*, network.*; *missing: what had nobody to be measured with. */
static void measure_network(const struct axis *world, struct rates *r, const char **missing)
{
    int *node = mem_new(world->size, sizeof *node, "nodes"), near = -1, far = -1;
    double latency_s, bytes_per_s;

    r->node.ranks = nodes_find(world, node);
    r->node.memory_gib = (double)limit_memory() / 0x1p30;
    for (int i = world->size - 1; i > 0; i--) {
        if (node[i] == node[0]) near = i;
        else far = i;
    }
    if (near > 0) {
        pingpong(world, 0, near, &latency_s, &bytes_per_s);
        r->network.within_us = 1e6 * latency_s;
        r->network.within_gbytes = 1e-9 * bytes_per_s;
    }
    if (far > 0) {
        pingpong(world, 0, far, &latency_s, &bytes_per_s);
        r->network.between_us = 1e6 * latency_s;
        r->network.between_gbytes = 1e-9 * bytes_per_s;
    }
    *missing = near > 0 ? far > 0 ? NULL : "between nodes" : far > 0 ? "within a node"
                                                                   : "all messages";
    mem_free(node);
}

/* Four digits: more would only pretend. */
static void round_rates(struct rates *r)
{
    double *const all[] = {
        &r->node.memory_gib, &r->rank.fp32_gflops, &r->rank.memory_gbytes, &r->share.forward,
        &r->share.backward, &r->share.head, &r->network.within_us, &r->network.within_gbytes,
        &r->network.between_us, &r->network.between_gbytes,
    };
    char text[32];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        snprintf(text, sizeof text, "%.4g", *all[i]);
        sscanf(text, "%lf", all[i]);
    }
}

static void print_json(const struct axis *world, const struct rates *r, const char *missing)
{
    printf("{\"bench\": \"rates\", \"ranks\": %d, \"node_ranks\": %d, \"memory_gib\": %.4g, "
           "\"threads\": %d, \"fp32_gflops\": %.4g, \"memory_gbytes\": %.4g, "
           "\"forward_share\": %.4g, \"backward_share\": %.4g, \"head_share\": %.4g, "
           "\"within_us\": %.4g, \"within_gbytes\": %.4g, \"between_us\": %.4g, "
           "\"between_gbytes\": %.4g, \"assumed\": \"%s\"}\n", world->size, r->node.ranks,
           r->node.memory_gib, r->rank.threads, r->rank.fp32_gflops, r->rank.memory_gbytes,
           r->share.forward, r->share.backward, r->share.head, r->network.within_us,
           r->network.within_gbytes, r->network.between_us, r->network.between_gbytes,
           missing ? missing : "");
}

static int print(const struct request *q, const struct axis *world, const struct rates *r,
                 const char *missing)
{
    char *rates = rates_text(r);
    char *text = mem_format("# Measured by ttt bench rates on %d rank%s at once, layers of %s.\n"
                            "%s%s%s%s\n", world->size, world->size > 1 ? "s" : "",
                            q->run ? q->run : "ttt_linear 125m", missing ? "# Assumed: " : "",
                            missing ? missing : "", missing ? "\n" : "", rates);
    int rc = OK;
    if (q->json) print_json(world, r, missing);
    if (!q->out && !q->json) fputs(text, stdout);
    if (q->out) rc = file_replace(q->out, text, strlen(text));
    mem_free(text);
    mem_free(rates);
    return rc;
}

static int measure(const struct request *q)
{
    struct rates r;
    struct axis world;
    const char *missing;
    int rc;

    comm_start(&world);
    TRY(axis_agree(&world, rates_read(&r, NULL)));
    TRY(measure_ranks(q, &world, &r));
    measure_network(&world, &r, &missing);
    round_rates(&r);
    TRY(axis_agree(&world, world.rank == 0 ? print(q, &world, &r, missing) : OK));
out:
    comm_stop(&world);
    return rc;
}

int cmd_bench_rates(int argc, char **argv)
{
    struct request q = { .repeat = 3 };
    struct arg_rest rest;
    int rc;
    const struct arg args[] = {
        { "threads", ARG_INT, &q.threads, "N",
          "threads of a rank; 0: OMP_NUM_THREADS or all cores" },
        { "repeat", ARG_INT, &q.repeat, "N", "number of timed repetitions (3)" },
        { "set", ARG_LIST, &q.sets, "KEY=VALUE", "override a key of RUN.yaml" },
        { "out", ARG_TARGET, &q.out, "FILE", "write to FILE, not to standard output" },
        { "json", ARG_FLAG, &q.json, NULL, "print one JSON object" },
    };

    comm_first_reports();
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    if (rest.n > 1) return fail(ERR_USAGE, "usage: %s", USAGE);
    if (q.threads < 0 || q.threads > OPENMP_THREADS || q.repeat < 1 || q.repeat > 1000)
        return fail(ERR_USAGE, "ttt bench rates: --threads or --repeat is out of range");
    if (rest.n) q.run = rest.v[0];
    if (q.threads) omp_set_num_threads((int)q.threads);
    gemm_start();
    rc = measure(&q);
out:
    return rc;
}
