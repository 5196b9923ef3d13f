/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench comm: what messages between the processes of a job take. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "mpi/bench/cmd_bench.h"
#include "mpi/bench/pingpong.h"
#include "mpi/step/reduce.h"
#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/cli/args.h"
#include "src/conf/conf.h"

#define USAGE "mpirun -n RANKS ttt bench comm"

static const char about[] =
    "Measure latency and bandwidth of messages between two ranks; reduce-scatter of 64-bit\n"
    "integers, all-gather and all-to-all over all ranks; then what a step does: gradients of a\n"
    "layer and an embedding are added exactly, and weights are gathered. Bytes are those that a\n"
    "rank sends, compared with the rate at which all ranks copy memory at once. The slowest rank\n"
    "counts, results are verified first, times are medians.\n"
    "\n"
    "example\n"
    "  mpirun -n 4 ttt bench comm";

struct bench {
    struct axis world;
    int         repeat, json;
    int64_t    *out, *in;     /* (room)                  */
    int64_t     room, n;      /* n: of a rank's part now */
    double      copy;         /* bytes/s                 */
    struct grid    grid;      /* of replicas             */
    struct model  *m;
    struct grad    grad;
    struct reducer *reducer;
};

/* Element i of rank r's buffer. */
static int64_t element(int r, int64_t i)
{
    return (int64_t)(rng_u64((uint64_t)r, (uint64_t)i) >> 16);  /* sums of ranks do not overflow */
}

/* --- collectives of MPI ------------------------------------------------------------- */

static void reduce_scatter(struct bench *b)
{
    mpi_do(MPI_Reduce_scatter_block(b->out, b->in, mpi_count(b->n), MPI_INT64_T, MPI_SUM,
                                    b->world.comm));
}

static int64_t want_sum(const struct bench *b, int64_t i)
{
    int64_t sum = 0;
    for (int r = 0; r < b->world.size; r++) sum += element(r, b->world.rank * b->n + i);
    return sum;
}

static void all_gather(struct bench *b)
{
    mpi_do(MPI_Allgather(b->out, mpi_count(b->n), MPI_INT64_T, b->in, mpi_count(b->n), MPI_INT64_T,
                         b->world.comm));
}

static int64_t want_gathered(const struct bench *b, int64_t i)
{
    return element((int)(i / b->n), i % b->n);
}

static void all_to_all(struct bench *b)
{
    mpi_do(MPI_Alltoall(b->out, mpi_count(b->n), MPI_INT64_T, b->in, mpi_count(b->n), MPI_INT64_T,
                        b->world.comm));
}

static int64_t want_exchanged(const struct bench *b, int64_t i)
{
    return element((int)(i / b->n), b->world.rank * b->n + i % b->n);
}

static const struct collective {
    const char *name;
    void   (*run)(struct bench *b);
    int64_t (*want)(const struct bench *b, int64_t i);  /* element i of what comes */
    int      parts;  /* do as many parts come as there are ranks? else one        */
} collectives[] = {
    { "reduce-scatter", reduce_scatter, want_sum, 0 },
    { "all-gather", all_gather, want_gathered, 1 },
    { "all-to-all", all_to_all, want_exchanged, 1 },
};

/* --- what a step does ------------------------------------------------------------------ */

static void sums(struct bench *b)
{
    for (int i = 0; i < b->m->dims.L + 2; i++) {
        const int64_t *cut;
        if (reducer_bucket(b->reducer, i, &cut)) reducer_begin(b->reducer, i);
    }
    reducer_end(b->reducer);
}

static void weights(struct bench *b) { reducer_gather(b->reducer, b->m->w); }

/* Sums of own spans are those of all ranks; weights are their owners'. */
static int verify_step(struct bench *b)
{
    const struct span *own;
    const int n = reducer_spans(b->reducer, &own);
    const int64_t total = b->m->params.total;
    int64_t wrong = 0;

    for (int64_t i = 0; i < total; i++) b->grad.fixed[i] = element(b->world.rank, i);
    sums(b);
    for (int k = 0; k < n; k++)
        for (int64_t i = own[k].begin; i < own[k].end; i++) {
            int64_t sum = 0;
            for (int r = 0; r < b->world.size; r++) sum += element(r, i);
            wrong += b->grad.fixed[i] != sum;
            b->m->w[i] = (real)(i % 8191);
        }
    weights(b);
    for (int64_t i = 0; i < total; i++) {
        const int place = param_at(&b->m->params, i);
        const struct param *p = &b->m->params.p[place];
        if (i < p->offset + p->n) wrong += b->m->w[i] != (real)(i % 8191);
    }
    if (!wrong) return OK;
    return fail(ERR_DATA, "%lld sums of gradients or weights are wrong", (long long)wrong);
}

/* --- measuring -------------------------------------------------------------------------- */

/* Median over repetitions of the slowest rank's seconds a call, `calls` in a row. */
static double seconds(struct bench *b, void (*run)(struct bench *), int calls)
{
    double *s = mem_new(b->repeat, sizeof *s, "times");

    run(b);
    for (int k = 0; k < b->repeat; k++) {
        mpi_do(MPI_Barrier(b->world.comm));
        const double begin = clock_s();
        for (int i = 0; i < calls; i++) run(b);
        s[k] = (clock_s() - begin) / calls;
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, &s[k], 1, MPI_DOUBLE, MPI_MAX, b->world.comm));
    }
    const double median = bench_median(s, b->repeat);
    mem_free(s);
    return median;
}

static void copy(struct bench *b) { memcpy(b->in, b->out, (size_t)b->room * sizeof *b->in); }

/* latency_s: 0 if none was measured. */
static void row(const struct bench *b, const char *name, double bytes, double latency_s, double s)
{
    const double rate = 1e-9 * bytes / s, limit = 1e-9 * b->copy;
    char latency[32] = "";

    if (b->world.rank > 0) return;
    if (b->json) {
        if (latency_s > 0)
            snprintf(latency, sizeof latency, "\"latency_us\": %.4g, ", 1e6 * latency_s);
        printf("{\"bench\": \"comm\", \"name\": \"%s\", \"ranks\": %d, %s\"bytes\": %.0f, "
               "\"seconds\": %.6g, \"gbytes_per_s\": %.5g, \"copy_gbytes_per_s\": %.5g, "
               "\"share_of_copy\": %.4g}\n", name, b->world.size, latency, bytes, s, rate, limit,
               rate / limit);
    } else {
        if (latency_s > 0) snprintf(latency, sizeof latency, "%8.2f us", 1e6 * latency_s);
        printf("%-16s %11s  %12.0f bytes  %9.6f s  %7.2f GB/s  %4.0f %% of copying\n", name,
               latency, bytes, s, rate, 100 * rate / limit);
    }
    fflush(stdout);
}

/* From the first rank to the last and back. */
static int two_ranks(struct bench *b)
{
    enum { TAG = 1 };
    const int last = b->world.size - 1, n = mpi_count(b->room);
    double latency, rate;
    int64_t wrong = 0;

    if (b->world.rank == 0) {
        mpi_do(MPI_Send(b->out, n, MPI_INT64_T, last, TAG, b->world.comm));
        mpi_do(MPI_Recv(b->in, n, MPI_INT64_T, last, TAG, b->world.comm, MPI_STATUS_IGNORE));
    } else if (b->world.rank == last) {
        mpi_do(MPI_Recv(b->in, n, MPI_INT64_T, 0, TAG, b->world.comm, MPI_STATUS_IGNORE));
        mpi_do(MPI_Send(b->in, n, MPI_INT64_T, 0, TAG, b->world.comm));
    }
    if (b->world.rank == 0)
        for (int64_t i = 0; i < b->room; i++) wrong += b->in[i] != b->out[i];
    const int rc = axis_agree(&b->world, wrong == 0 ? OK : fail(ERR_DATA, "%lld elements came back "
                                                     "otherwise", (long long)wrong));
    if (rc != OK) return rc;
    pingpong(&b->world, 0, last, &latency, &rate);
    row(b, "two ranks", PINGPONG_BYTES, latency, PINGPONG_BYTES / rate);
    return OK;
}

static int collective(struct bench *b, const struct collective *c)
{
    const int N = b->world.size;
    int64_t wrong = 0;

    b->n = b->room / N;
    memset(b->in, 0, (size_t)b->room * sizeof *b->in);
    c->run(b);
    for (int64_t i = 0; i < b->n * (c->parts ? N : 1); i++) wrong += b->in[i] != c->want(b, i);
    const int rc = axis_agree(&b->world, wrong == 0 ? OK : fail(ERR_DATA, "%s: %lld elements are "
                                                     "wrong", c->name, (long long)wrong));
    if (rc != OK) return rc;
    const double large = seconds(b, c->run, 1), bytes = 8.0 * (double)b->n * (N - 1);
    b->n = 1;
    row(b, c->name, bytes, seconds(b, c->run, 200), large);
    return OK;
}

static int step(struct bench *b)
{
    const int rc = axis_agree(&b->world, verify_step(b));
    if (rc != OK) return rc;
    const int64_t before = reducer_bytes(b->reducer);
    sums(b);
    const double bytes = (double)(reducer_bytes(b->reducer) - before);
    row(b, "sums, exact", bytes, 0, seconds(b, sums, 1));
    row(b, "weights", bytes * sizeof(real) / sizeof(int64_t), 0, seconds(b, weights, 1));
    return OK;
}

static int begin(struct bench *b)
{
    const struct grid_shape shape = { .D = b->world.size, .P = 1, .S = 1 };
    struct conf *c = mem_new(1, sizeof *c, "configuration");
    struct arg_list sets = { .v = { "model.layers=1", "model.vocab=8192" }, .n = 2 };
    struct dims d;
    int rc;

    TRY(grid_init(&b->grid, &b->world, &shape));
    TRY(bench_conf(c, NULL, &sets, 0));
    conf_dims(c, &d);
    TRY(model_new(&b->m, &d));
    b->reducer = reducer_new(&b->grid, b->m);
    grad_init(&b->grad, &b->m->params, REDUCE_EXACT);
    grad_begin(&b->grad, 1);
    grad_end(&b->grad, 0, b->m->params.total);
    reducer_attach(b->reducer, &b->grad);
    b->out = mem_new(b->room, sizeof *b->out, "messages");
    b->in = mem_new(b->room, sizeof *b->in, "messages");
    for (int64_t i = 0; i < b->room; i++) b->out[i] = element(b->world.rank, i);
out:
    mem_free(c);
    return rc;
}

static void end(struct bench *b)
{
    if (b->m) grad_done(&b->grad);
    reducer_free(b->reducer);
    model_free(b->m);
    grid_done(&b->grid);
    mem_free(b->out);
    mem_free(b->in);
}

static int measure(struct bench *b)
{
    int rc;

    TRY(axis_agree(&b->world, begin(b)));
    b->copy = 8 * (double)b->room / seconds(b, copy, 1);
    TRY(two_ranks(b));
    for (size_t i = 0; i < sizeof collectives / sizeof *collectives; i++)
        TRY(collective(b, &collectives[i]));
    TRY(step(b));
out:
    end(b);
    return rc;
}

int cmd_bench_comm(int argc, char **argv)
{
    struct bench b = { .repeat = 0 };
    int64_t mib = 32, repeat = 11, threads = 0;
    struct arg_rest rest;
    int rc;
    const struct arg args[] = {
        { "mib", ARG_INT, &mib, "N", "size of a rank's buffer in collectives, in MiB (32)" },
        { "repeat", ARG_INT, &repeat, "N", "number of timed repetitions (11)" },
        { "threads", ARG_INT, &threads, "N", "threads of a rank; 0: OMP_NUM_THREADS or all cores" },
        { "json", ARG_FLAG, &b.json, NULL, "one JSON object a line" },
    };

    comm_first_reports();
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    if (rest.n > 0) return fail(ERR_USAGE, "usage: %s", USAGE);
    if (mib < 1 || mib > 4096 || repeat < 1 || repeat > 10000 || threads < 0 ||
        threads > OPENMP_THREADS)
        return fail(ERR_USAGE, "ttt bench comm: --mib, --repeat or --threads is out of range");
    if (threads) omp_set_num_threads((int)threads);
    b.repeat = (int)repeat;
    b.room = mib << 17;
    comm_start(&b.world);
    if (b.world.size < 2) rc = fail(ERR_USAGE, "at least two ranks are needed: %s", USAGE);
    else if (b.world.size > b.room) rc = fail(ERR_USAGE, "--mib is too small for %d ranks",
                                              b.world.size);
    else rc = measure(&b);
    comm_stop(&b.world);
out:
    return rc;
}
