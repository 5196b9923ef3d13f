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
#include "src/kernels/gemm.h"

struct trainer {
    const struct conf         *conf;
    const struct trainer_opts *opts;
    struct dims         dims;
    struct step_opts    step;
    struct memory       memory;    /* of this rank, predicted */
    int64_t             n_params;
    enum save_from      from;
    struct grid         grid;
    struct train_inputs inputs;
    struct run_folder   run;
    struct train_state  state;
    struct metrics     *metrics;
    json_t             *info;
    struct hash         root;      /* of the checkpoint we go on from */
    int                 resumed;
};

/* --- before anything is made ------------------------------------------------ */

/* What is to be computed, and the grid that does it.  Collective on world. */
static int choose_grid(struct trainer *t, const struct axis *world)
{
    const struct conf *c = t->conf;
    struct grid_shape shape;
    int rc = OK;

    conf_dims(c, &t->dims);
    conf_optim(c, &t->step.optim);
    conf_pass(c, &t->step.pass, t->inputs.bos);
    t->step.reduction = (enum reduction)c->train.reduction;
    t->step.batch = c->train.batch_tokens / c->train.context;
    t->step.guard_every = c->train.guard_every;
    const struct step_shape work = { .L = t->dims.L, .U = pass_units(&t->step.pass),
                                     .sequences = (int)t->step.batch,
                                     .micro_batch = t->step.pass.micro_batch,
                                     .mode = t->step.pass.sequence_mode };
    if (!strcmp(c->run.grid, "auto")) shape = grid_auto(world->size, &work);
    else TRY(grid_parse(&shape, c->run.grid));
    TRY(share_check(&shape, &work));
    TRY(grid_init(&t->grid, world, &shape));
    if (world->size > 1)
        log_phase("grid %dx%dx%d: sequences x layers x units", shape.D, shape.P, shape.S);
out:
    return rc;
}

/* What checkpoints say beside the state. */
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
    load_describe(t->info, &t->dims, t->conf->train.context, in->kind, in->path, in->tokenizer);
    mem_free(text);
}

/* --- the state to start from --------------------------------------------------- */

static const char *info_text(const json_t *info, const char *object, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(info, object), key));
    return s ? s : "";
}

/* Is a checkpoint's data ours? */
static int same_data(const struct trainer *t, struct ckpt *c)
{
    const json_t *old = ckpt_info(c);
    const char *was = info_text(old, "data", "train"), *is = info_text(t->info, "data", "train");
    const char *tok_was = info_text(old, "tokenizer", "hash");
    const char *tok_is = info_text(t->info, "tokenizer", "hash");

    if (strcmp(tok_was, tok_is) != 0)
        return fail(ERR_CONFIG, "%s was trained with the tokenizer %s, the data's is %s",
                    ckpt_path(c), tok_was, tok_is);
    if (!strcmp(was, is)) return OK;
    if (t->opts->allow_data_change) {
        log_warn("other training data from step %lld on: fingerprint %s, was %s",
                 (long long)ckpt_step(c), is, was);
        return OK;
    }
    return fail(ERR_CONFIG, "the training data changed: %s was trained on %s, %s is %s; "
                "--allow-data-change goes on with it", ckpt_path(c), was, t->conf->data.train, is);
}

/* What this rank needs of a checkpoint: ckpt_search(). */
static int resume(struct ckpt *c, void *trainer)
{
    struct trainer *t = trainer;
    const char *config = json_string_value(json_object_get(ckpt_info(c), "config"));
    int rc = OK;

    if (!config) TRY(fail(ERR_CONFIG, "%s was not written by ttt train", ckpt_path(c)));
    TRY(conf_diff(t->conf, config, ckpt_path(c), t->opts->allow_config_change));
    TRY(same_data(t, c));
    load_files_inherit(t->info, ckpt_info(c));
    TRY(train_state_load(&t->state, c));
    t->state.seed = t->conf->run.seed;
    t->root = ckpt_root(c);
out:
    return rc;
}

/* Weights of another model, which must be ours but for what is changed on purpose, and have our
 * parameters and no others. */
static int init_from(struct trainer *t, const char *path)
{
    struct model *m = t->state.model, *from = NULL;
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
    for (int i = reducer_holds(t->state.reducer, &held) - 1; i >= 0; i--)
        memcpy(m->w + held[i].begin, from->w + held[i].begin,
               (size_t)(held[i].end - held[i].begin) * sizeof *m->w);
    if (t->grid.world.rank == 0 &&
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
    const struct axis *world = &t->grid.world;
    const int rc = axis_agree(world, world->rank == 0 ? check_quarantine(t) : OK);

    if (rc != OK) return rc;
    if (t->conf->train.init_from[0])
        return axis_agree(world, init_from(t, t->conf->train.init_from));
    train_state_init(&t->state, t->conf->run.seed);
    return OK;
}

/* Collective. */
static int first_state(struct trainer *t)
{
    const struct axis *world = &t->grid.world;
    struct ckpt *c = NULL;
    char hex[HASH_HEX];
    int rc = axis_agree(world, train_state_new(&t->state, &t->dims, t->conf->run.seed, &t->grid));
    if (rc != OK) return rc;
    train_state_optim(&t->state, &t->step.optim);

    if (t->step.pass.bf16) model_use_bf16(t->state.model, 1);
    rc = ckpt_search(&c, world, t->run.ckpt, t->run.quarantine, resume, t);
    if (rc == OK) {
        t->resumed = 1;
        hash_hex(hex, t->root);
        log_phase("resumed from %s: step %lld root %s", ckpt_path(c), (long long)t->state.step,
                  hex);
    } else if (rc == ERR_MISSING) rc = fresh(t);
    if (rc == OK) {
        train_state_leave_out(&t->state, t->conf->data.skip);
        train_state_changed(&t->state);
    }
    if (rc == OK && t->resumed)
        rc = canary_verify(&t->grid, t->state.model, &t->step.pass, c,
                           t->opts->allow_config_change || t->opts->allow_numerics_change);
    /* Said; what stays costs only space. */
    if (rc == OK && world->rank == 0) (void)ckpt_clean(t->run.ckpt);
    ckpt_close(c);
    return rc;
}

/* --- the folder ------------------------------------------------------------------ */

/* The run's folder is the first rank's.  Collective on world. */
static int open_folder(struct trainer *t)
{
    int rc = OK;
    if (t->grid.world.rank == 0) rc = run_open(&t->run, t->conf->run.dir, t->opts->takeover);
    else run_follow(&t->run, t->conf->run.dir);
    return axis_agree(&t->grid.world, rc);
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
    TRY(metrics_open(&t->metrics, t->run.metrics, t->state.step));
out:
    mem_free(build);
    mem_free(extra);
    mem_free(config);
    return rc;
}

/* Files beside the checkpoints; everybody learns which evaluations were done.  Collective. */
static int open_metrics(struct trainer *t)
{
    int64_t last_eval = 0;
    int rc = t->grid.world.rank == 0 ? write_folder(t) : OK;

    if (t->metrics) last_eval = metrics_last_eval(t->metrics);
    mpi_do(MPI_Bcast(&last_eval, 1, MPI_INT64_T, 0, t->grid.world.comm));
    if (!t->metrics) t->metrics = metrics_follow(last_eval);
    return axis_agree(&t->grid.world, rc);
}

static void write_start(struct trainer *t)
{
    char hex[HASH_HEX];

    hash_hex(hex, t->root);
    metrics_write(t->metrics,
                  json_pack("{s:s,s:I,s:s,s:i,s:I,s:I,s:I,s:I,s:s?}", "kind", "start", "step",
                            t->state.step, "version", build_version(), "threads",
                            omp_get_max_threads(), "parameters", t->n_params,
                            "predicted_bytes", t->memory.total, "sequences", t->step.batch,
                            "tokens", t->step.batch * t->step.pass.context, "resumed",
                            t->resumed ? hex : NULL));
}

/* Memory is that of the rank with the most.  Collective. */
static void write_end(struct trainer *t, int rc, double seconds)
{
    char peak[HUMAN_TEXT], ours[HUMAN_TEXT], want[HUMAN_TEXT], time[HUMAN_TEXT], skipped[64] = "";
    const char *status = rc == OK ? "done" : rc == ERR_SAVED ? "stopped"
                       : rc == ERR_DIVERGED ? "diverged" : "failed";
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    int64_t v[4] = { t->memory.total, mem_peak_bytes(), (int64_t)u.ru_maxrss * 1024,
                     t->memory.allocated };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 4, MPI_INT64_T, MPI_MAX, t->grid.world.comm));
    metrics_write(t->metrics,
                  json_pack("{s:s,s:I,s:s,s:I,s:f,s:I,s:I,s:I,s:I}", "kind", "end", "step",
                            t->state.step, "status", status, "skipped", t->state.skipped, "train_s",
                            seconds, "peak_bytes", v[2], "counted_bytes", v[1], "predicted_bytes",
                            v[0], "planned_bytes", v[3]));
    if (t->state.skipped)
        snprintf(skipped, sizeof skipped, ", %lld steps skipped", (long long)t->state.skipped);
    log_run("%s at step %lld after %s%s; memory: predicted %s, most allocated %s, process %s", status,
            (long long)t->state.step, human_duration(time, seconds), skipped,
            human_bytes(want, v[0]), human_bytes(ours, v[1]), human_bytes(peak, v[2]));
}

/* --- the run --------------------------------------------------------------------- */

/* What crossed, over all ranks. */
static void say_traffic(const struct trainer *t, const struct stepper *s)
{
    const struct step_bytes b = stepper_bytes(s);
    int64_t v[3] = { b.carries + b.heads, b.activations, b.sums };
    char c[HUMAN_TEXT], a[HUMAN_TEXT], g[HUMAN_TEXT];

    if (t->grid.world.size == 1) return;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 3, MPI_INT64_T, MPI_SUM, t->grid.world.comm));
    log_run("sent by all ranks: %s %s (%lld bytes), activations %s, gradients and weights %s",
            t->step.pass.sequence_mode == SEQ_HEADS ? "tokens and heads" : "carries",
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
    return saver_new(&t->state, t->run.ckpt, &o);
}

static int train(struct trainer *t)
{
    const int finished = t->state.step >= t->conf->train.steps;
    const double begin = clock_s();
    struct train_loop l = {
        .conf = t->conf, .inputs = &t->inputs, .run = &t->run, .state = &t->state,
        .step = &t->step, .metrics = t->metrics, .info = t->info, .grid = &t->grid,
        .saved_step = t->resumed ? t->state.step : -1,
        .saver = new_saver(t),
    };

    if (finished) {
        char hex[HASH_HEX];
        hash_hex(hex, t->root);
        log_run("%s is finished: step %lld root %s", t->run.dir, (long long)t->state.step, hex);
        const int rc = train_loop_run(&l);  /* at most an evaluation that was cut off */
        saver_free(l.saver);
        return rc;
    }
    log_phase("%lld parameters, %lld steps of %lld sequences of %d tokens, %d threads",
              (long long)t->n_params, (long long)t->conf->train.steps,
              (long long)t->step.batch, t->step.pass.context, omp_get_max_threads());
    write_start(t);
    t->step.saver = l.saver;
    l.stepper = stepper_new(&t->state, &t->step, &t->grid);
    const int64_t first = t->state.step;
    l.trace = t->opts->trace || t->opts->profile ? trace_new() : NULL;
    int rc = train_loop_run(&l);
    const double elapsed = clock_s() - begin;
    write_end(t, rc, elapsed);
    if (t->opts->profile) {
        const struct profile_of p = {
            .m = t->state.model, .context = t->step.pass.context, .elapsed_s = elapsed,
            .tokens = (double)(t->state.step - first) * (double)t->step.batch *
                      t->step.pass.context,
            .gflops = t->opts->gflops,
        };
        profile_print(l.trace, &t->grid.world, &p);
    }
    if (t->opts->trace) {
        const int written = trace_write(l.trace, &t->grid.world, t->opts->trace);
        if (rc == OK) rc = written;
    }
    trace_free(l.trace);
    say_traffic(t, l.stepper);
    stepper_free(l.stepper);
    saver_free(l.saver);
    return rc;
}

/* Collective on world. */
static int prove(const struct trainer *t, const struct axis *world)
{
    const struct proof_of p = {
        .bf16 = t->step.pass.bf16, .K = t->dims.K, .F = head_width(&t->dims),
        .lapack = t->step.optim.kind == OPTIM_SOAP,
    };
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
    TRY(axis_agree(world, choose_grid(&t, world)));
    TRY(axis_agree(world, train_budget(&t.memory, &t.n_params, &t.from, c, &t.grid)));
    TRY(prove(&t, world));
    describe(&t);
    TRY(open_folder(&t));
    TRY(first_state(&t));
    TRY(open_metrics(&t));
    rc = train(&t);
out:
    beacon_phase(BEACON_END);
    metrics_close(t.metrics);
    train_state_done(&t.state);
    run_close(&t.run, rc);
    json_decref(t.info);
    train_inputs_close(&t.inputs);
    if (t.grid.world.size) grid_done(&t.grid);
    return rc;
}
