/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_loop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mpi/save/rewind.h"
#include "mpi/train/patience.h"
#include "mpi/train/train_eval.h"
#include "mpi/train/train_report.h"
#include "mpi/train/train_save.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/base/status.h"
#include "src/base/stop.h"

enum { REWINDS = 3, REWIND_STEPS = 1000 };  /* more of them in fewer steps: it diverges */

/* What ends a run, next to signals. */
enum { STOP_FILE = 1000, STOP_FENCED };

/* The first rank looks into the run's folder, not more often than a file system may be asked. */
static int ask_folder(struct train_loop *l)
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
    const int says = ask_folder(l);
    int v[2] = { says ? says : stop_signal(), saver_waits(l->saver) };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 2, MPI_INT, MPI_MAX, l->grid->world.comm));
    return (struct between){ v[0], v[1] };
}

/* --- the loop -------------------------------------------------------------------- */

/* The loss of this step is out of line: back to the newest checkpoint, and from there on with the
 * samples after this step. */
static int go_back(struct train_loop *l, double loss)
{
    struct train_state *s = l->state;
    const int64_t from = s->step;
    const double mean = s->spike.mean;
    char text[RANGES_TEXT];
    struct ranges out;

    (void)train_save_finish(l);
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
                    REWIND_STEPS, train_save_newest(l));
    l->damaged = 1;
    const int rc = rewind_run(s, l->run, &out);
    if (rc != OK) return rc == ERR_MISSING ? ERR_IO : rc;
    train_state_changed(s);
    l->damaged = 0;
    stepper_reset(l->stepper);
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
    if (r.inner) l->inner = report_inner_ratio(l->state->model, r.inner);
    if (r.again && !r.bad) report_again(l, &r);
    if (!r.bad && out_of_line(l, r.loss)) return go_back(l, r.loss);
    if (!r.bad) {
        report_step(l, &r, took);
        if (l->state->step % c->log.every_steps == 0 || l->state->step == c->train.steps)
            report_line(l, &r);
        return OK;
    }
    report_skip(l, &r);
    if (l->state->bad_run < c->train.max_bad_steps) return OK;
    return fail(ERR_DIVERGED, "%lld steps in a row were not finite; %s",
                (long long)l->state->bad_run, train_save_newest(l));
}

static void report_stop(const struct train_loop *l, int stop)
{
    char why[64] = "STOP";

    if (stop != STOP_FILE) snprintf(why, sizeof why, "signal %d (%s)", stop, strsignal(stop));
    log_run("%s: step %lld is saved; the same command resumes from there", why,
            (long long)l->state->step);
}

/* A step could not be done: is there something to save? */
static void leave_behind(struct train_loop *l, int rc)
{
    if (l->damaged) {
        (void)train_save_finish(l);  /* of a state before */
        log_run("the state in memory is not saved; %s", train_save_newest(l));
    } else if (rc == ERR_DATA || rc == ERR_IO) (void)train_save_last(l, "error");  /* of reading */
}

/* All steps are done.  If the last ones changed nothing, the run does not end as one that learned:
 * it is not saved, so that the next start computes them again. */
static int ends_well(struct train_loop *l)
{
    const int64_t row = l->state->bad_run;

    if (row == 0) return OK;
    (void)train_save_finish(l);  /* the message names the newest */
    return fail(ERR_DIVERGED,
                "the last %lld of %lld steps were not finite and changed nothing; %s%s",
                (long long)row, (long long)l->state->step, train_save_newest(l),
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
        train_save_advance(l, now.waits);
        if (l->state->step >= steps) TRY(ends_well(l));
        if (l->state->step >= steps || stop) TRY(train_save_last(l, stop ? "signal" : "end"));
        if (stop && (l->state->step < steps || cut)) break;
        if (train_eval_due(l)) {
            (void)train_save_finish(l);  /* a long evaluation must not keep it from being committed */
            beacon_phase(BEACON_EVAL);
            cut = train_eval(l);
            if (cut) continue;
        }
        if (l->state->step >= steps) break;

        rc = one_step(l);
        if (rc != OK) {
            leave_behind(l, rc);
            break;
        }
        const char *due = l->state->step < steps ? train_save_due(l) : NULL;
        if (due) train_save_begin(l, due, 0);
    }
    if (l->fenced)
        rc = fail(ERR_OWNER, "%s: another process has taken this run over; step %lld is not saved",
                  l->run->dir, (long long)l->state->step);
    if (rc == OK && (l->state->step < steps || cut)) {
        report_stop(l, stop);
        rc = ERR_SAVED;
    }
out:
    (void)train_save_finish(l);
    return rc;
}
