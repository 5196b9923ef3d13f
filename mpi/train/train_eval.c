/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_eval.h"

#include "mpi/infer/grid_eval.h"
#include "src/base/log.h"
#include "src/base/status.h"
#include "src/base/stop.h"
#include "src/infer/eval.h"

int train_eval_due(const struct train_loop *l)
{
    const int64_t step = l->state->step, every = l->conf->eval.every_steps;

    if (!l->inputs->val || step == 0 || metrics_last_eval(l->metrics) >= step) return 0;
    return step >= l->conf->train.steps || (every > 0 && step % every == 0);
}

int train_eval(struct train_loop *l)
{
    const struct conf *c = l->conf;
    const struct eval_opts o = { .context = c->eval.context, .max_tokens = c->eval.max_tokens,
                                 .mask_token = l->step->pass.mask_token, .asked = stop_signal };
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
