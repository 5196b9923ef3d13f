#include "mpi/train/train_loop.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "mpi/infer/grid_eval.h"
#include "mpi/save/rewind.h"
#include "mpi/train/canary.h"
#include "mpi/train/patience.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/base/output.h"
#include "src/base/status.h"
#include "src/base/stop.h"
#include "src/infer/eval.h"
#include "src/store/progress.h"

enum { REWINDS = 3, REWIND_STEPS = 1000 };  /* more of them in fewer steps: it diverges */

/* --- saving ---------------------------------------------------------------- */

/* A save ended, in whatever way. */
static int report(struct train_loop *l, int rc)
{
    const struct save_result *saved = saver_saved(l->saver);
    const int64_t step = l->save_step;
    char hex[HASH_HEX];

    l->save_s = clock_s();
    if (rc != OK) {
        l->fenced |= rc == ERR_OWNER;
        if (l->fenced) return rc;
        metrics_write(l->metrics, json_pack("{s:s,s:I,s:b,s:s}", "kind", "save", "step", step,
                                            "error", 1, "reason", l->reason));
        log_warn("the save of step %lld was given up; training goes on, and older checkpoints are "
                 "as they were", (long long)step);
        return rc;
    }
    l->saved_step = step;
    l->save_took_s = saved->save_s;
    beacon_saved(saved->save_s);
    hash_hex(hex, saved->root);
    if (l->grid->world.rank == 0) printf("committed step %lld root %s\n", (long long)step, hex);
    fflush(stdout);
    metrics_write(l->metrics,
                  json_pack("{s:s,s:I,s:s,s:f,s:f,s:f,s:s}", "kind", "save", "step", step, "root",
                            hex, "save_s", saved->save_s, "snapshot_s", saved->snapshot_s,
                            "write_s", saved->write_s, "reason", l->reason));
    return OK;
}

/* To the end of the save in flight, if there is one. */
static int save_finish(struct train_loop *l)
{
    int rc = OK;

    if (!saver_busy(l->saver)) return OK;
    beacon_phase(BEACON_SAVE);
    while (rc == OK && saver_busy(l->saver)) rc = saver_advance(l->saver);
    return report(l, rc);
}

/* Begin; without a background, to its end. */
static void save_begin(struct train_loop *l, const char *reason, int idle)
{
    (void)save_finish(l);
    beacon_phase(BEACON_SAVE);
    metrics_sync(l->metrics);
    l->reason = reason;
    l->save_step = l->state->step;
    json_t *info = json_copy(l->info);
    json_object_set_new(info, "probe", canary_record(l->grid, l->state->model, &l->step->pass));
    const int rc = saver_begin(l->saver, info, idle);
    json_decref(info);
    if (rc != OK) (void)report(l, rc);
    else if (!l->conf->checkpoint.background) (void)save_finish(l);
}

/* Between steps: the next part of a save whose threads are all done. */
static void save_go_on(struct train_loop *l, int waits)
{
    if (!saver_busy(l->saver) || waits) return;
    beacon_phase(BEACON_SAVE);
    const int rc = saver_advance(l->saver);
    if (!saver_busy(l->saver)) (void)report(l, rc);
}

/* Is a save due at this step by the configuration, and why?  The clock is the first rank's. */
static const char *save_due(const struct train_loop *l)
{
    const struct conf *c = l->conf;
    const int64_t step = l->state->step, every = c->checkpoint.every_steps;
    const double minutes = c->checkpoint.every_minutes;

    if (every > 0 && step % every == 0) return "steps";
    if (saver_busy(l->saver)) return NULL;
    int due = minutes > 0 && clock_s() - l->save_s >= 60 * minutes;
    mpi_do(MPI_Bcast(&due, 1, MPI_INT, 0, l->grid->world.comm));
    return due ? "time" : NULL;
}

/* Beside signals, what ends a run. */
enum { STOP_FILE = 1000, STOP_FENCED };

/* The first rank looks into the run's folder, not more often than a file system may be asked. */
static int folder_says(struct train_loop *l)
{
    const double now = clock_s();

    if (l->grid->world.rank > 0 || now - l->folder_s < 0.5) return 0;
    l->folder_s = now;
    return fence_lost(&l->run->fence) ? STOP_FENCED : run_stopped(l->run) ? STOP_FILE : 0;
}

/* What ranks agree on between steps: the signal that any of them got, or what the folder says, or
 * 0; and whether any would have to wait for its part of a save. */
struct between { int stop, waits; };

static struct between agree_between(struct train_loop *l)
{
    const int says = folder_says(l);
    int v[2] = { says ? says : stop_signal(), saver_waits(l->saver) };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 2, MPI_INT, MPI_MAX, l->grid->world.comm));
    return (struct between){ v[0], v[1] };
}

/* For messages: what a restart would go on from. */
static const char *newest(const struct train_loop *l)
{
    static char text[64];
    if (l->saved_step < 0) return "there is no checkpoint";
    snprintf(text, sizeof text, "the newest checkpoint is of step %lld", (long long)l->saved_step);
    return text;
}

/* The state that the process leaves behind: a second try, then it is an error. */
static int save_last(struct train_loop *l, const char *reason)
{
    for (int tries = 0; tries < 2 && !l->fenced; tries++) {
        (void)save_finish(l);
        if (l->saved_step == l->state->step) return OK;
        save_begin(l, reason, 1);
    }
    (void)save_finish(l);
    if (l->saved_step == l->state->step) return OK;
    if (l->fenced) return ERR_OWNER;
    return fail(ERR_IO, "step %lld could not be saved; %s", (long long)l->state->step, newest(l));
}

/* --- evaluating ---------------------------------------------------------------- */

static int eval_due(const struct train_loop *l)
{
    const int64_t step = l->state->step, every = l->conf->eval.every_steps;

    if (!l->inputs->val || step == 0 || metrics_last_eval(l->metrics) >= step) return 0;
    return step >= l->conf->train.steps || (every > 0 && step % every == 0);
}

/* A failure is reported and costs nothing but the numbers.
 * returns whether a signal ended it: then it is repeated when the run is resumed */
static int evaluate(struct train_loop *l)
{
    const struct pass_opts *p = &l->step->pass;
    const struct eval_opts o = { .context = p->context, .max_tokens = l->conf->eval.max_tokens,
                                 .mask_token = p->mask_token, .asked = stop_signal };
    struct eval_result r;
    char line[EVAL_LINE];

    /* A rank alone reads slice by slice, in constant memory; several have a part of the model. */
    const int rc = l->grid->world.size == 1
                       ? eval_run(&r, l->state->model, l->inputs->val, &o)
                       : grid_eval(&r, l->grid, l->state->model, l->inputs->val, &o);
    if (rc != OK) {
        log_warn("the evaluation of step %lld was given up%s", (long long)l->state->step,
                 rc == ERR_SAVED ? ": a signal asks for the end" : "");
        return rc == ERR_SAVED;
    }
    eval_line(line, &r);
    log_phase("eval at step %lld: %s", (long long)l->state->step, line);
    metrics_write(l->metrics,
                  json_pack("{s:s,s:I,s:o,s:o,s:o,s:I,s:I,s:f}", "kind", "eval", "step",
                            l->state->step, "loss_nats", metrics_real(r.nats), "perplexity",
                            metrics_real(r.ppl), "bits_per_byte", metrics_real(r.bits_per_byte),
                            "tokens", r.tokens, "unk_tokens", r.unk_tokens, "eval_s", r.seconds));
    return 0;
}

/* --- logging ------------------------------------------------------------------- */

/* A number of each layer that has an inner loop, null of the others. */
static json_t *of_layers(const struct model *m, const double *x)
{
    json_t *a = json_array();
    for (int l = 0; l < m->dims.L; l++)
        json_array_append_new(a, block_has_inner(&m->blocks[l]) ? metrics_real(x[l]) : json_null());
    return a;
}

static void write_step(struct train_loop *l, const struct step_result *r, double step_s)
{
    const int64_t tokens = l->step->batch * l->step->pass.context;
    const int L = l->state->model->dims.L;
    json_t *o = json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:f,s:f}", "kind", "step", "step",
                          l->state->step, "loss_nats", metrics_real(r->loss), "grad_norm",
                          metrics_real(r->grad_norm), "clip", metrics_real(r->clip), "lr",
                          metrics_real(r->lr), "targets", r->targets, "tokens", l->state->tokens,
                          "step_s", step_s, "tok_per_s", (double)tokens / step_s);
    if (r->inner) {
        json_object_set_new(o, "inner_w0", of_layers(l->state->model, r->inner));
        json_object_set_new(o, "inner_before", of_layers(l->state->model, r->inner + L));
        json_object_set_new(o, "inner_after", of_layers(l->state->model, r->inner + 2 * L));
    }
    metrics_write(l->metrics, o);
}

static void write_skip(struct train_loop *l, const struct step_result *r)
{
    char ids[512];
    int n = 0;
    json_t *samples = json_array();

    for (int i = 0; i < r->n_samples; i++) {
        json_array_append_new(samples, json_integer(r->samples[i]));
        if (n < (int)sizeof ids - 32)
            n += snprintf(ids + n, sizeof ids - (size_t)n, " %lld", (long long)r->samples[i]);
    }
    log_warn("step %lld skipped, nothing was changed: not finite: %s, first on rank %d; "
             "samples%s; %lld in a row, %lld in this run", (long long)l->state->step, r->what,
             r->rank, ids, (long long)l->state->bad_run, (long long)l->state->skipped);
    metrics_write(l->metrics,
                  json_pack("{s:s,s:I,s:s,s:i,s:o,s:o,s:I,s:I}", "kind", "skip", "step",
                            l->state->step, "what", r->what, "rank", r->rank, "samples", samples,
                            "loss_nats", metrics_real(r->loss), "in_a_row", l->state->bad_run,
                            "skipped", l->state->skipped));
}

/* A fault of the moment. */
static void write_again(struct train_loop *l, const struct step_result *r)
{
    log_warn("step %lld was not finite at first, and is when computed again: %s, first on rank %d: "
             "faulty hardware?", (long long)l->state->step, r->what, r->rank);
    metrics_write(l->metrics, json_pack("{s:s,s:I,s:s,s:i}", "kind", "again", "step",
                                        l->state->step, "what", r->what, "rank", r->rank));
}

/* Mean over layers with an inner loop of the inner loss after a step relative to before it. */
static double inner_ratio(const struct model *m, const double *inner)
{
    const int L = m->dims.L;
    double sum = 0;
    int n = 0;

    for (int l = 0; l < L; l++) {
        if (!block_has_inner(&m->blocks[l])) continue;
        sum += inner[2 * L + l] / inner[L + l];
        n++;
    }
    return sum / n;
}

/* Nobody reads what is printed any more: training continues, and its folder tells. */
static void note_lost(struct train_loop *l)
{
    const char *lost = l->lost ? NULL : output_lost();
    if (!lost) return;
    l->lost = 1;
    log_warn("%s takes no more text; training continues, and its numbers are in metrics.jsonl", lost);
    metrics_write(l->metrics, json_pack("{s:s,s:I,s:s}", "kind", "output", "step", l->state->step,
                                        "lost", lost));
}

static void print_line(struct train_loop *l, const struct step_result *r)
{
    const struct conf *c = l->conf;
    const double now = clock_s();
    const int64_t step = l->state->step, left = c->train.steps - step;
    const int64_t every = c->checkpoint.every_steps;
    const int64_t tokens = l->step->batch * l->step->pass.context;
    const double per_step = (now - l->start_s) / (double)(step - l->start_step);
    char text[PROGRESS_LINE];

    const struct progress p = {
        .step = step, .steps = c->train.steps, .loss_nats = r->loss, .grad_norm = r->grad_norm,
        .lr = r->lr, .inner = l->inner, .skipped = l->state->skipped,
        .tok_per_s = (double)((step - l->line_step) * tokens) / (now - l->line_s),
        .left_s = per_step * (double)left,
        .save_s = c->checkpoint.every_minutes > 0
                      ? fmax(0, 60 * c->checkpoint.every_minutes - (now - l->save_s)) : NAN,
        .save_steps = every <= 0 ? 0 : every - step % every < left ? every - step % every : left,
    };
    progress_line(text, &p);
    log_step("%s", text);
    note_lost(l);
    l->line_s = now;
    l->line_step = step;
}

/* --- the loop -------------------------------------------------------------------- */

/* The loss of this step is out of line: back to the newest checkpoint, and from there on with the
 * samples behind this step. */
static int go_back(struct train_loop *l, double loss)
{
    struct train_state *s = l->state;
    const int64_t from = s->step;
    const double mean = s->spike.mean;
    char text[RANGES_TEXT];
    struct ranges out;

    (void)save_finish(l);
    if (l->saved_step < 0) {
        log_warn("step %lld: the loss is %.4g, it was %.4g: a spike, and there is no checkpoint to "
                 "go back to", (long long)from, loss, mean);
        spike_learn(&s->spike, loss);
        return OK;
    }
    if (l->rewinds == 0 || from - l->rewind_step > REWIND_STEPS) {
        l->rewinds = 0;
        l->rewind_step = from;
    }
    if (++l->rewinds > REWINDS)
        return fail(ERR_DIVERGED, "step %lld: the loss is %.4g, it was %.4g: a spike after %d "
                    "rewinds in %d steps; %s", (long long)from, loss, mean, REWINDS,
                    REWIND_STEPS, newest(l));
    l->damaged = 1;
    const int rc = rewind_run(s, l->run, &out);
    if (rc != OK) return rc == ERR_MISSING ? ERR_IO : rc;
    train_state_changed(s);
    l->damaged = 0;
    stepper_forget(l->stepper);
    metrics_back(l->metrics, s->step);
    log_warn("step %lld: the loss is %.4g, it was %.4g: a spike; back to step %lld, and samples %s "
             "are left out", (long long)from, loss, mean, (long long)s->step,
             ranges_show(text, &out));
    metrics_write(l->metrics, json_pack("{s:s,s:I,s:I,s:o,s:s}", "kind", "rewind", "step", s->step,
                                        "from", from, "loss_nats", metrics_real(loss), "left_out",
                                        text));
    l->saved_step = l->start_step = l->line_step = s->step;
    l->start_s = l->line_s = clock_s();
    return OK;
}

/* Is it? If not, it is what the next ones are compared with. */
static int out_of_line(struct train_loop *l, double loss)
{
    const double limit = l->conf->train.spike_nats;

    if (limit <= 0) return 0;
    if (FAILPOINT("train.spike") != OK) loss += 2 * limit + 1000;
    if (spike_is(&l->state->spike, loss, limit)) return 1;
    spike_learn(&l->state->spike, loss);
    return 0;
}

static int one_step(struct train_loop *l)
{
    const struct conf *c = l->conf;
    const int every = model_has_inner(l->state->model) ? c->train.inner_stats_every : 0;
    const double begin = clock_s();
    struct step_result r;

    const struct step_asks asks = { .inner = every > 0 && l->state->step % every == 0,
                                    .trace = l->trace };
    const int rc = stepper_run(&r, l->stepper, l->state, l->inputs->train, &asks);
    l->damaged = r.damaged;
    if (rc != OK) return rc;
    const double took = clock_s() - begin - r.waited_s;
    beacon_step(l->state->step, took);
    if (!l->warned && l->state->step > l->start_step + 1)   /* the first step is slower */
        l->warned = patience_warn(took + l->save_took_s);
    if (r.inner) l->inner = inner_ratio(l->state->model, r.inner);
    if (r.again && !r.bad) write_again(l, &r);
    if (!r.bad && out_of_line(l, r.loss)) return go_back(l, r.loss);
    if (!r.bad) {
        write_step(l, &r, took);
        if (l->state->step % c->log.every_steps == 0 || l->state->step == c->train.steps)
            print_line(l, &r);
        return OK;
    }
    write_skip(l, &r);
    if (l->state->bad_run < c->train.max_bad_steps) return OK;
    return fail(ERR_DIVERGED, "%lld steps in a row were not finite; %s",
                (long long)l->state->bad_run, newest(l));
}

static void say_stop(const struct train_loop *l, int stop)
{
    char why[64] = "STOP";

    if (stop != STOP_FILE) snprintf(why, sizeof why, "signal %d (%s)", stop, strsignal(stop));
    log_run("%s: step %lld is saved; the same command goes on from there", why,
            (long long)l->state->step);
}

/* A step could not be done: is there something to save? */
static void leave_behind(struct train_loop *l, int rc)
{
    if (l->damaged) {
        (void)save_finish(l);  /* of a state before */
        log_run("the state in memory is not saved; %s", newest(l));
    } else if (rc == ERR_DATA || rc == ERR_IO) (void)save_last(l, "error");  /* of reading */
}

/* All steps are done.  If the last ones changed nothing, the run does not end as one that learned:
 * it is not saved, so that the next start computes them again. */
static int ends_well(struct train_loop *l)
{
    const int64_t row = l->state->bad_run;

    if (row == 0) return OK;
    (void)save_finish(l);  /* the message names the newest */
    return fail(ERR_DIVERGED, "the last %lld of %lld steps were not finite and changed nothing; %s%s",
                (long long)row, (long long)l->state->step, newest(l),
                l->saved_step == l->state->step
                    ? "" : ": the same command computes them again, data.skip leaves samples out");
}

int train_loop_run(struct train_loop *l)
{
    const int64_t steps = l->conf->train.steps;
    int rc = OK, stop = 0, cut = 0;   /* an evaluation was cut short */

    l->start_s = l->save_s = l->line_s = clock_s();
    l->start_step = l->line_step = l->state->step;
    l->inner = NAN;
    for (;;) {
        const struct between now = agree_between(l);
        stop = now.stop;
        l->fenced |= stop == STOP_FENCED;
        if (l->fenced) break;
        save_go_on(l, now.waits);
        if (l->state->step >= steps) TRY(ends_well(l));
        if (l->state->step >= steps || stop) TRY(save_last(l, stop ? "signal" : "end"));
        if (stop && (l->state->step < steps || cut)) break;
        if (eval_due(l)) {
            (void)save_finish(l);  /* a long evaluation must not keep it from being committed */
            beacon_phase(BEACON_EVAL);
            cut = evaluate(l);
            if (cut) continue;
        }
        if (l->state->step >= steps) break;

        rc = one_step(l);
        if (rc != OK) {
            leave_behind(l, rc);
            break;
        }
        const char *due = l->state->step < steps ? save_due(l) : NULL;
        if (due) save_begin(l, due, 0);
    }
    if (l->fenced)
        rc = fail(ERR_OWNER, "%s: another process has taken this run over; step %lld is not saved",
                  l->run->dir, (long long)l->state->step);
    if (rc == OK && (l->state->step < steps || cut)) {
        say_stop(l, stop);
        rc = ERR_SAVED;
    }
out:
    (void)save_finish(l);
    return rc;
}
