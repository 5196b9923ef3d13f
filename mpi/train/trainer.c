/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/trainer.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "mpi/grid/agree.h"
#include "mpi/save/ckpt_search.h"
#include "mpi/step/profile.h"
#include "mpi/step/reduce.h"
#include "mpi/step/trace.h"
#include "mpi/train/canary.h"
#include "mpi/train/train_agree.h"
#include "mpi/train/train_budget.h"
#include "mpi/train/train_loop.h"
#include "mpi/train/train_setup.h"
#include "src/base/build_info.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf_diff.h"
#include "src/conf/conf_model.h"
#include "src/infer/load.h"
#include "src/infer/load_files.h"
#include "src/kernels/gemm_bf16.h"

struct trainer {
    const struct conf         *conf;
    const struct trainer_opts *opts;
    struct train_setup  setup;
    struct memory       memory;    /* of this rank, predicted */
    int64_t             n_params;
    enum save_from      from;
    struct train_inputs inputs;
    struct run_folder   run;
    struct metrics     *metrics;
    json_t             *info;
    double              peak_flops;  /* arithmetic peak of all ranks, FLOP/s */
    struct hash         root;      /* of the checkpoint that the run resumes from */
    int                 resumed;
};

/* --- before anything is made ------------------------------------------------ */

/* What checkpoints hold next to the state. */
static void describe(struct trainer *t)
{
    char train[HASH_HEX], val[HASH_HEX] = "";
    char *text = conf_text(t->conf);
    const struct train_inputs *in = &t->inputs;

    hash_hex(train, dataset_fingerprint(in->train));
    if (in->val) hash_hex(val, dataset_fingerprint(in->val));
    t->info = json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "run", t->conf->run.name, "build",
                        build_text(), "config", text, "data", "train", train, "val", val);
    check(t->info);
    load_describe(t->info, &t->setup.dims, t->conf->train.context, in->kind, in->path,
                  in->tokenizer);
    mem_free(text);
}

/* --- the state to start from --------------------------------------------------- */

/* What this rank needs of a checkpoint: ckpt_search(). */
static int resume(struct ckpt *c, void *trainer)
{
    struct trainer *t = trainer;
    const char *config = json_string_value(json_object_get(ckpt_info(c), "config"));
    int rc = OK;

    if (!config) TRY(fail(ERR_CONFIG, "%s was not written by ttt train", ckpt_path(c)));
    TRY(conf_diff(t->conf, ckpt_step(c), config, ckpt_path(c), t->opts->allow_config_change));
    TRY(train_inputs_resume(&t->inputs, t->conf, c, t->opts->allow_data_change));
    load_files_inherit(t->info, ckpt_info(c));
    TRY(train_state_load(&t->setup.state, c));
    t->setup.state.seed = t->conf->run.seed;
    t->root = ckpt_root(c);
out:
    return rc;
}

/* Weights of another model, which must be ours except for what is changed on purpose, and have our
 * parameters and no others. */
static int init_from(struct trainer *t, const char *path)
{
    struct model *m = t->setup.state.model, *from = NULL;
    struct load_info info;
    int rc = OK;

    const int loaded = load_model(&from, &info, path);
    if (loaded != OK) return loaded;
    TRY(conf_is_model(t->conf, &from->dims, info.source));
    TRY(load_same_tokenizer(&info, from, t->inputs.train, t->conf->data.train));
    int same = from->params.count == m->params.count && from->params.total == m->params.total;
    for (int i = 0; same && i < m->params.count; i++) {
        const struct param *a = &m->params.p[i], *b = &from->params.p[i];
        same = !strcmp(a->name, b->name) && a->ndim == b->ndim &&
               !memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape);
    }
    if (!same)
        TRY(fail(ERR_CONFIG, "train.init_from: %s has other parameters than the model that this "
                 "configuration describes", path));
    const struct span *held;
    for (int i = reducer_holds(t->setup.state.reducer, &held) - 1; i >= 0; i--)
        memcpy(m->w + held[i].begin, from->w + held[i].begin,
               (size_t)(held[i].end - held[i].begin) * sizeof *m->w);
    if (t->setup.grid.world.rank == 0 &&
        load_files_follow(t->info, t->run.ckpt, &info, t->inputs.tokenizer) != OK)
        log_warn("ttt export will not find the files that came with %s", info.source);
    log_phase("initial weights from %s", info.source);
out:
    model_free(from);
    load_done(&info);
    return rc;
}

/* Is there anything in quarantine? */
static int check_quarantine(struct trainer *t)
{
    char **names = NULL;
    int count = 0;

    if (!path_is_dir(t->run.quarantine)) return OK;
    const int rc = dir_list(&names, &count, t->run.quarantine);
    mem_free(names);
    if (rc != OK || count == 0) return rc;
    return fail(ERR_DATA, "%s has no valid checkpoint, and %d in %s; move that folder away to "
                "begin anew", t->run.dir, count, t->run.quarantine);
}

/* No checkpoint: that is a beginning, unless all there were had to be moved away.  Collective. */
static int fresh(struct trainer *t)
{
    const struct axis *world = &t->setup.grid.world;
    const int rc = axis_agree(world, world->rank == 0 ? check_quarantine(t) : OK);

    if (rc != OK) return rc;
    if (t->conf->train.init_from[0])
        return axis_agree(world, init_from(t, t->conf->train.init_from));
    train_state_init(&t->setup.state, t->conf->run.seed);
    return OK;
}

/* Collective. */
static int first_state(struct trainer *t)
{
    const struct axis *world = &t->setup.grid.world;
    struct ckpt *c = NULL;
    char hex[HASH_HEX];
    int rc = train_setup_state(&t->setup, t->conf->run.seed);
    if (rc != OK) return rc;

    rc = ckpt_search(&c, world, t->run.ckpt, t->run.quarantine, resume, t);
    if (rc == OK) {
        t->resumed = 1;
        hash_hex(hex, t->root);
        log_phase("resumed from %s: step %lld root %s", ckpt_path(c),
                  (long long)t->setup.state.step, hex);
    } else if (rc == ERR_MISSING) rc = fresh(t);
    if (rc == OK) {
        train_state_leave_out(&t->setup.state, t->conf->data.skip);
        train_state_changed(&t->setup.state);
    }
    if (rc == OK && t->resumed)
        rc = canary_verify(&t->setup.grid, t->setup.state.model, &t->setup.step.pass, c,
                           t->opts->allow_config_change || t->opts->allow_numerics_change);
    /* Failures are reported; what stays costs only space. */
    if (rc == OK && world->rank == 0) (void)ckpt_clean(t->run.ckpt);
    ckpt_close(c);
    return rc;
}

/* --- the folder ------------------------------------------------------------------ */

/* The run's folder is the first rank's.  Collective on world. */
static int open_folder(struct trainer *t)
{
    int rc = OK;
    if (t->setup.grid.world.rank == 0) rc = run_open(&t->run, t->conf->run.dir, t->opts->takeover);
    else run_follow(&t->run, t->conf->run.dir);
    return axis_agree(&t->setup.grid.world, rc);
}

static int write_folder(struct trainer *t)
{
    char *config = conf_text(t->conf), mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int n = 0, rc = OK;

    mpi_do(MPI_Get_library_version(mpi, &n));
    char *extra = mem_format("%s\nthreads: %d\n", mpi, omp_get_max_threads());
    char *build = run_build_text(extra);
    TRY(run_put(&t->run, "config.yaml", config));
    TRY(run_put(&t->run, "build.txt", build));
    if (t->inputs.path) TRY(run_copy(&t->run, "tokenizer.model", t->inputs.path));
    TRY(metrics_open(&t->metrics, t->run.metrics, t->setup.state.step));
out:
    mem_free(build);
    mem_free(extra);
    mem_free(config);
    return rc;
}

/* Files next to the checkpoints; every rank learns which evaluations were done.  Collective. */
static int open_metrics(struct trainer *t)
{
    int64_t last_eval = 0;
    int rc = t->setup.grid.world.rank == 0 ? write_folder(t) : OK;

    if (t->metrics) last_eval = metrics_last_eval(t->metrics);
    mpi_do(MPI_Bcast(&last_eval, 1, MPI_INT64_T, 0, t->setup.grid.world.comm));
    if (!t->metrics) t->metrics = metrics_follow(last_eval);
    return axis_agree(&t->setup.grid.world, rc);
}

/* Collective. */
static void measure_peak(struct trainer *t)
{
    const MPI_Comm all = t->setup.grid.world.comm;

    mpi_do(MPI_Barrier(all));
    t->peak_flops = 1e9 * t->opts->peak(t->setup.step.pass.bf16);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &t->peak_flops, 1, MPI_DOUBLE, MPI_SUM, all));
}

static void write_start(struct trainer *t)
{
    char hex[HASH_HEX];

    hash_hex(hex, t->root);
    metrics_write(t->metrics,
                  json_pack("{s:s,s:I,s:s,s:i,s:f,s:I,s:I,s:I,s:I,s:s?}", "kind", "start", "step",
                            t->setup.state.step, "version", build_version(), "threads",
                            omp_get_max_threads(), "peak_gflops", 1e-9 * t->peak_flops,
                            "parameters", t->n_params,
                            "predicted_bytes", t->memory.total, "sequences", t->setup.step.batch,
                            "tokens", t->setup.step.batch * t->setup.step.pass.context, "resumed",
                            t->resumed ? hex : NULL));
}

/* Memory is that of the rank with the most.  Collective. */
static void write_end(struct trainer *t, int rc, double seconds)
{
    char peak[HUMAN_TEXT], ours[HUMAN_TEXT], want[HUMAN_TEXT], time[HUMAN_TEXT], skipped[64] = "";
    enum { PREDICTED, PLANNED, COUNTED, RESIDENT, BYTES };
    const char *status = rc == OK ? "done" : rc == ERR_SAVED ? "stopped"
                       : rc == ERR_DIVERGED ? "diverged" : "failed";
    const long long step = t->setup.state.step, bad = t->setup.state.skipped;
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    int64_t v[BYTES] = { t->memory.total, t->memory.allocated, mem_peak_bytes(),
                         (int64_t)u.ru_maxrss * 1024 };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, BYTES, MPI_INT64_T, MPI_MAX, t->setup.grid.world.comm));
    metrics_write(t->metrics,
                  json_pack("{s:s,s:I,s:s,s:I,s:f,s:I,s:I,s:I,s:I}", "kind", "end", "step", step,
                            "status", status, "skipped", bad, "train_s", seconds, "peak_bytes",
                            v[RESIDENT], "counted_bytes", v[COUNTED], "predicted_bytes",
                            v[PREDICTED], "planned_bytes", v[PLANNED]));
    if (bad) snprintf(skipped, sizeof skipped, ", %lld steps skipped", bad);
    log_run("%s at step %lld after %s%s; memory: predicted %s, most allocated %s, process %s",
            status, step, human_duration(time, seconds), skipped, human_bytes(want, v[PREDICTED]),
            human_bytes(ours, v[COUNTED]), human_bytes(peak, v[RESIDENT]));
}

/* --- the run --------------------------------------------------------------------- */

/* What crossed, over all ranks. */
static void report_traffic(const struct trainer *t, const struct stepper *s)
{
    const struct step_bytes b = stepper_bytes(s);
    int64_t v[3] = { b.carries + b.heads, b.activations, b.sums };
    char c[HUMAN_TEXT], a[HUMAN_TEXT], g[HUMAN_TEXT];

    if (t->setup.grid.world.size == 1) return;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 3, MPI_INT64_T, MPI_SUM, t->setup.grid.world.comm));
    log_run("sent by all ranks: %s %s (%lld bytes), activations %s, gradients and weights %s",
            t->setup.step.pass.sequence_mode == SEQ_HEADS ? "tokens and heads" : "carries",
            human_bytes(c, v[0]), (long long)v[0], human_bytes(a, v[1]), human_bytes(g, v[2]));
}

static struct saver *new_saver(const struct trainer *t)
{
    const struct conf *c = t->conf;
    const struct saver_opts o = {
        .ckpt = { .level = c->checkpoint.level, .keep = c->checkpoint.keep,
                  .keep_every = c->checkpoint.keep_every },
        .writers = c->checkpoint.writers, .from = t->from,
        .fence = &t->run.fence,
    };
    return saver_new(&t->setup.state, t->run.ckpt, &o);
}

static int train(struct trainer *t)
{
    const int finished = t->setup.state.step >= t->conf->train.steps;
    const double begin = clock_s();
    struct train_loop l = {
        .conf = t->conf, .inputs = &t->inputs, .run = &t->run, .state = &t->setup.state,
        .step = &t->setup.step, .metrics = t->metrics, .info = t->info, .grid = &t->setup.grid,
        .saved_step = t->resumed ? t->setup.state.step : -1,
        .saver = new_saver(t),
        .token_flops = model_flops(t->setup.state.model, t->setup.step.pass.context),
    };

    if (finished) {
        char hex[HASH_HEX];
        hash_hex(hex, t->root);
        log_run("%s is finished: step %lld root %s", t->run.dir, (long long)t->setup.state.step,
                hex);
        const int rc = train_loop_run(&l);  /* at most an evaluation that was cut off */
        saver_free(l.saver);
        return rc;
    }
    log_phase("%lld parameters, %lld steps of %lld sequences of %d tokens, %d threads",
              (long long)t->n_params, (long long)t->conf->train.steps,
              (long long)t->setup.step.batch, t->setup.step.pass.context, omp_get_max_threads());
    if (t->setup.step.pass.bf16 && !gemm_bf16_native())
        log_warn("train.precision is bf16, but this processor has no bf16 instructions: fp32 is "
                 "faster");
    measure_peak(t);
    l.peak_flops = t->peak_flops;
    write_start(t);
    t->setup.step.saver = l.saver;
    l.stepper = stepper_new(&t->setup.state, &t->setup.step, &t->setup.grid);
    const int64_t first = t->setup.state.step;
    l.trace = t->opts->trace || t->opts->profile ? trace_new() : NULL;
    int rc = train_loop_run(&l);
    const double elapsed = clock_s() - begin;
    write_end(t, rc, elapsed);
    if (t->opts->profile) {
        const struct profile_of p = {
            .m = t->setup.state.model, .context = t->setup.step.pass.context, .elapsed_s = elapsed,
            .tokens = (double)(t->setup.state.step - first) * (double)t->setup.step.batch *
                      t->setup.step.pass.context,
            .gflops = t->opts->gflops, .peak_gflops = 1e-9 * t->peak_flops,
        };
        profile_print(l.trace, &t->setup.grid.world, &p);
    }
    if (t->opts->trace) {
        const int written = trace_write(l.trace, &t->setup.grid.world, t->opts->trace);
        if (rc == OK) rc = written;
    }
    trace_free(l.trace);
    report_traffic(t, l.stepper);
    stepper_free(l.stepper);
    saver_free(l.saver);
    return rc;
}

/* Collective on world. */
static int prove(const struct trainer *t, const struct axis *world)
{
    struct proof_of p;
    model_proof(&p, &t->setup.dims, t->setup.step.pass.bf16);
    p.lapack = t->setup.step.optim.kind == OPTIM_SOAP;
    return job_prove(world, &p, t->conf->train.reduction == REDUCE_FAST);
}

int trainer_run(const struct conf *c, const struct trainer_opts *o, const struct axis *world)
{
    struct trainer t = { .conf = c, .opts = o };
    int rc = OK;

    if (c->run.threads > 0) omp_set_num_threads(c->run.threads);
    gemm_start();
    TRY(train_job_agree(c, (o->trace != NULL) + 2 * (o->profile != 0), world));
    TRY(axis_agree(world, train_inputs_open(&t.inputs, c)));
    TRY(train_inputs_agree(&t.inputs, world));
    TRY(axis_agree(world, train_setup_grid(&t.setup, c, t.inputs.bos, world)));
    if (world->size > 1)
        log_phase("grid %dx%dx%d: data x pipeline x sequence parallelism", t.setup.grid.shape.D,
                  t.setup.grid.shape.P, t.setup.grid.shape.S);
    TRY(axis_agree(world, train_budget(&t.memory, &t.n_params, &t.from, c, &t.setup.grid)));
    TRY(prove(&t, world));
    describe(&t);
    TRY(open_folder(&t));
    TRY(first_state(&t));
    TRY(open_metrics(&t));
    rc = train(&t);
out:
    beacon_phase(BEACON_END);
    metrics_close(t.metrics);
    run_close(&t.run, rc);
    json_decref(t.info);
    train_inputs_close(&t.inputs);
    train_setup_done(&t.setup);
    return rc;
}
