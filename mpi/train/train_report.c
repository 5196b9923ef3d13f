/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_report.h"

#include <math.h>
#include <stdio.h>

#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/output.h"
#include "src/store/progress.h"

/* A number of each layer that has an inner loop, null of the others. */
static json_t *of_layers(const struct model *m, const double *x)
{
    json_t *a = json_array();
    for (int l = 0; l < m->dims.L; l++)
        json_array_append_new(a, block_has_inner(&m->blocks[l]) ? metrics_real(x[l]) : json_null());
    return a;
}

/* Model FLOPs utilization: the share of the arithmetic peak that such a speed is. */
static double mfu(const struct train_loop *l, double tok_per_s)
{
    return tok_per_s * l->token_flops / l->peak_flops;
}

void report_step(struct train_loop *l, const struct step_result *r, double step_s)
{
    const int64_t tokens = l->step->batch * l->step->pass.context;
    const int L = l->state->model->dims.L;
    const double tok_per_s = (double)tokens / step_s;
    json_t *o = json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:f,s:f,s:f}", "kind", "step", "step",
                          l->state->step, "loss_nats", metrics_real(r->loss), "grad_norm",
                          metrics_real(r->grad_norm), "clip", metrics_real(r->clip), "lr",
                          metrics_real(r->lr), "targets", r->targets, "tokens", l->state->tokens,
                          "step_s", step_s, "tok_per_s", tok_per_s, "mfu", mfu(l, tok_per_s));
    if (r->inner) {
        json_object_set_new(o, "inner_w0", of_layers(l->state->model, r->inner));
        json_object_set_new(o, "inner_before", of_layers(l->state->model, r->inner + L));
        json_object_set_new(o, "inner_after", of_layers(l->state->model, r->inner + 2 * L));
    }
    metrics_write(l->metrics, o);
}

void report_skip(struct train_loop *l, const struct step_result *r)
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

void report_again(struct train_loop *l, const struct step_result *r)
{
    log_warn("step %lld was not finite at first, and is when computed again: %s, first on rank %d: "
             "faulty hardware?", (long long)l->state->step, r->what, r->rank);
    metrics_write(l->metrics, json_pack("{s:s,s:I,s:s,s:i}", "kind", "again", "step",
                                        l->state->step, "what", r->what, "rank", r->rank));
}

double report_inner_ratio(const struct model *m, const double *inner)
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

void report_line(struct train_loop *l, const struct step_result *r)
{
    const struct conf *c = l->conf;
    const double now = clock_s();
    const int64_t step = l->state->step, left = c->train.steps - step;
    const int64_t every = c->checkpoint.every_steps;
    const int64_t tokens = l->step->batch * l->step->pass.context;
    const double per_step = (now - l->start_s) / (double)(step - l->start_step);
    const double tok_per_s = (double)((step - l->line_step) * tokens) / (now - l->line_s);
    char text[PROGRESS_LINE];

    const struct progress p = {
        .step = step, .steps = c->train.steps, .loss_nats = r->loss, .grad_norm = r->grad_norm,
        .lr = r->lr, .inner = l->inner, .skipped = l->state->skipped,
        .tok_per_s = tok_per_s, .mfu = mfu(l, tok_per_s),
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
