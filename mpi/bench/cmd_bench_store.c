/* SPDX-License-Identifier: Apache-2.0 */
/* ttt bench store: reading tokens, saving and loading the state, and training during a save. */
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpi/bench/bench_store.h"
#include "mpi/bench/cmd_bench.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/kernels/gemm.h"
#include "src/store/ckpt_dir.h"

#define USAGE "ttt bench store [RUN.yaml]"

static const char about[] =
    "Measure what a run of RUN.yaml (TTT-Linear 125m without it) reads and writes, also under mpirun:\n"
    "  read      samples from shards in the order of training, compared with plain reading\n"
    "  save      the state, read back included, compared with copying it and writing plain bytes\n"
    "            + fsync\n"
    "  load      the newest checkpoint, verified, compared with plain reading\n"
    "  training  how long a save in the background stops steps (compared with one copy and one\n"
    "            step), and how much slower the next steps are\n"
    "Tokens, loaded states and losses are verified first. Times are medians; the slowest rank\n"
    "counts. Several nodes need a --dir that all of them see.\n"
    "\n"
    "example\n"
    "  ttt bench store config/ttt-linear-125m.yaml --dir /scratch/me";

/* --- during training ---------------------------------------------------------------------- */

static int one_step(struct store_bench *b, double *seconds)
{
    struct step_result r;
    const double start = clock_s();
    const int rc = stepper_run(&r, b->stepper, &b->setup.state, b->data, &(struct step_asks){ 0 });

    *seconds = store_slowest(b, clock_s() - start);
    if (rc == OK && (r.bad || !(r.loss > 0))) return fail(ERR_DATA, "a loss of %g", r.loss);
    return rc;
}

/* blocked: seconds that a save took from the steps' own thread; the first n steps during it took
 * `seconds`. */
struct during { double blocked, seconds; int64_t n; };

static int save_during(struct store_bench *b, struct saver *saver, struct during *x)
{
    double start = clock_s(), s;
    int rc;

    *x = (struct during){ 0, 0, 0 };
    TRY(store_begin_save(b, saver, 0));
    x->blocked = clock_s() - start;
    while (saver_busy(saver)) {
        if (x->n < b->q->during) {
            TRY(one_step(b, &s));
            x->seconds += s;
            x->n++;
        } else usleep(10000);
        start = clock_s();
        int waits = saver_waits(saver);
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, &waits, 1, MPI_INT, MPI_MAX, b->setup.grid.world.comm));
        if (!waits) TRY(saver_advance(saver));
        x->blocked += clock_s() - start;
    }
    x->blocked = store_slowest(b, x->blocked);
out:
    while (rc != OK && saver_busy(saver)) (void)saver_advance(saver);
    return rc;
}

static void print_during(const struct store_bench *b, double step_s, double blocked_s,
                         double during_s, double n)
{
    const double tok = (double)b->setup.step.batch * b->setup.step.pass.context / step_s;
    const double allowed = b->copy_s + step_s;

    if (b->setup.grid.world.rank > 0) return;
    printf(b->q->json
               ? "{\"bench\": \"store\", \"name\": \"read\", \"tokens\": %.0f, \"bytes\": %.0f, "
                 "\"tok_per_s\": %.6g, \"plain_tok_per_s\": %.6g, \"share_of_plain\": %.4g, "
                 "\"train_tok_per_s\": %.6g, \"times_of_training\": %.5g}\n"
               : "read     %.0f tokens of %.0f bytes, %.0f tokens/s; plain files %.0f tokens/s "
                 "(%.2f of it); training %.1f tokens/s: %.0f times that\n",
           b->reading.tokens, b->reading.bytes, b->reading.tok_per_s, b->reading.file_tok_per_s,
           b->reading.tok_per_s / b->reading.file_tok_per_s, tok, b->reading.tok_per_s / tok);
    printf(b->q->json
               ? "{\"bench\": \"store\", \"name\": \"training\", \"threads\": %d, "
                 "\"step_s\": %.6g, \"copy_s\": %.6g, \"blocked_s\": %.6g, "
                 "\"share_of_copy_and_step\": %.4g, \"steps_during\": %.4g, "
                 "\"step_during_s\": %.6g, \"slowed\": %.4g}\n"
               : "training %d threads, a step %.4f s, a copy %.4f s; a save stops it for %.4f s = "
                 "%.2f of both; the %.1f steps during it take %.4f s each: %.3f of a step\n",
           omp_get_max_threads(), step_s, b->copy_s, blocked_s, blocked_s / allowed, n, during_s,
           during_s / step_s);
    fflush(stdout);
}

static int train_and_save(struct store_bench *b)
{
    const int n = (int)b->q->repeat, steps = (int)b->q->steps;
    double *s = mem_new((int64_t)n * (steps + 3), sizeof *s, "times"), *blocked = s + n * steps;
    double *each = blocked + n, *count = each + n;
    struct saver *saver = store_saver(b, SAVE_COPY);
    int rc = OK;

    for (int i = 0; i < n && rc == OK; i++) {
        struct during x = { 0, 0, 0 };
        for (int k = 0; k < steps && rc == OK; k++) rc = one_step(b, &s[i * steps + k]);
        if (rc == OK) rc = save_during(b, saver, &x);
        blocked[i] = x.blocked;
        each[i] = x.seconds / (double)(x.n ? x.n : 1);
        count[i] = (double)x.n;
    }
    if (rc == OK)
        print_during(b, bench_median(s, n * steps), bench_median(blocked, n),
                     bench_median(each, n), bench_median(count, n));
    saver_free(saver);
    mem_free(s);
    return rc;
}

/* --- the whole ------------------------------------------------------------------------ */

static int make_folder(struct store_bench *b, const struct axis *world)
{
    char name[CONF_PATH] = "";
    int rc = OK;

    if (world->rank == 0) {
        rc = bench_folder(&b->folder, b->q->dir);
        if (rc == OK) snprintf(name, sizeof name, "%s", b->folder);
    }
    rc = axis_agree(world, rc);
    if (rc != OK) return rc;
    mpi_do(MPI_Bcast(name, sizeof name, MPI_CHAR, 0, world->comm));
    if (world->rank > 0) b->folder = mem_string(name);
    b->set = mem_format("%s/set", b->folder);
    b->ckpt = mem_format("%s/ckpt", b->folder);
    return OK;
}

/* The first rank's, once nobody reads there. */
static void remove_folder(struct store_bench *b)
{
    struct ckpt_entry *list = NULL;
    int count = 0;

    mpi_do(MPI_Barrier(b->setup.grid.world.comm));
    if (!b->folder || b->setup.grid.world.rank > 0) return;
    if (ckpt_list(&list, &count, b->ckpt) == OK) {
        for (int i = 0; i < count; i++) ckpt_remove(b->ckpt, list[i].name);
        mem_free(list);
    }
    if (path_is_dir(b->ckpt)) (void)dir_remove(b->ckpt);
    if (path_is_dir(b->set)) (void)dir_remove(b->set);
    (void)dir_remove(b->folder);
}

static int begin(struct store_bench *b, const struct axis *world)
{
    double s;
    int rc;

    TRY(make_folder(b, world));
    if (world->rank == 0) rc = bench_data_make(b->set, b->setup.dims.V, b->q->data_tokens);
    if (world->rank == 0 && rc == OK)
        rc = bench_data_read(&b->reading, b->set, b->setup.step.pass.context, (int)b->q->repeat);
    TRY(store_together(b, rc));
    TRY(store_together(b, dataset_open(&b->data, b->set)));
    TRY(train_setup_state(&b->setup, b->c->run.seed));
    train_state_init(&b->setup.state, b->c->run.seed);
    train_state_changed(&b->setup.state);
    b->stepper = stepper_new(&b->setup.state, &b->setup.step, &b->setup.grid);
    TRY(one_step(b, &s));
    TRY(one_step(b, &s));  /* moments that are no zeros */

    int count;
    b->tensors = train_state_tensors(&b->setup.state, &count);
    b->own = train_state_places(&b->setup.state, 0, &b->n_own);
    for (int i = 0; i < count; i++) b->bytes += (double)tensor_bytes(&b->tensors[i]);
out:
    return rc;
}

static int measure(const struct store_request *q, const struct axis *world)
{
    struct store_bench b = { .q = q, .c = mem_new(1, sizeof *b.c, "configuration") };
    int rc;

    TRY(axis_agree(world, bench_conf(b.c, q->run, &q->sets, q->tokens)));
    TRY(axis_agree(world, train_setup_grid(&b.setup, b.c, -1, world)));
    rc = begin(&b, world);
    if (rc == OK) rc = store_plainly(&b);
    if (rc == OK) rc = store_save_and_load(&b);
    if (rc == OK) rc = train_and_save(&b);
    remove_folder(&b);
    dataset_close(b.data);
    stepper_free(b.stepper);
    train_setup_done(&b.setup);
    mem_free(b.tensors);
    mem_free(b.own);
    mem_free(b.folder);
    mem_free(b.set);
    mem_free(b.ckpt);
out:
    mem_free(b.c);
    return rc;
}

int cmd_bench_store(int argc, char **argv)
{
    struct store_request q = { .repeat = 3, .tokens = 2048, .steps = 3, .during = 4,
                               .data_tokens = 16 << 20 };
    struct arg_rest rest;
    struct axis world;
    int rc;
    const struct arg args[] = {
        { "tokens", ARG_INT, &q.tokens, "N", "tokens of a step, one sequence (2048)" },
        { "steps", ARG_INT, &q.steps, "N", "timed steps between saves (3)" },
        { "during", ARG_INT, &q.during, "N", "most steps during a save (4)" },
        { "repeat", ARG_INT, &q.repeat, "N", "timed repetitions and saves (3)" },
        { "data-tokens", ARG_INT, &q.data_tokens, "N",
          "tokens of the data set that is read (16777216)" },
        { "threads", ARG_INT, &q.threads, "N",
          "threads of a rank; 0: OMP_NUM_THREADS or all cores" },
        { "dir", ARG_TEXT, &q.dir, "DIR", "folder for the files (default $TMPDIR or /tmp)" },
        { "set", ARG_LIST, &q.sets, "KEY=VALUE", "override a key of RUN.yaml" },
        { "json", ARG_FLAG, &q.json, NULL, "one JSON object a line" },
    };

    comm_first_reports();
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args, USAGE, about));
    if (rest.n < 0) return OK;
    if (rest.n > 1) return fail(ERR_USAGE, "usage: %s", USAGE);
    if (q.threads < 0 || q.threads > OPENMP_THREADS || q.repeat < 1 || q.repeat > 1000 || q.steps < 1 ||
        q.steps > 1000 || q.during < 1 || q.during > 1000 || q.tokens < 1 ||
        q.tokens > 1 << 24 || q.data_tokens <= q.tokens || q.data_tokens > (int64_t)1 << 32)
        return fail(ERR_USAGE, "ttt bench store: --threads, --repeat, --steps, --during, --tokens "
                               "or --data-tokens is out of range");
    if (rest.n) q.run = rest.v[0];
    if (q.threads) omp_set_num_threads((int)q.threads);
    log_level(LOG_RUN);
    gemm_start();
    comm_start(&world);
    rc = measure(&q, &world);
    comm_stop(&world);
out:
    return rc;
}
