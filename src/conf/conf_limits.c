/* SPDX-License-Identifier: Apache-2.0 */
/* What files, counters and sums of the program can hold: a run beyond that would begin, and could
 * not be saved or resumed.  Every limit is a constant of the format or counter that has it. */
#include <limits.h>

#include "src/base/ckpt_limits.h"
#include "src/base/status.h"
#include "src/conf/conf_reader.h"
#include "src/model/model.h"
#include "src/param/factor.h"
#include "src/plan/step_plan.h"

/* Tensors of a checkpoint. */
static void check_state(struct conf_reader *r, const struct conf *c, const struct param_table *t)
{
    const int soap = c->optim.kind == OPTIM_SOAP ? c->optim.max_dim : 0;
    const int count = state_tensor_count(t, soap);

    if (count > TENSOR_COUNT)
        conf_refuse(r, "model.layers", "expected a model whose state has at most %d tensors, which "
                    "is what a checkpoint holds; found %d blocks and %d tensors", TENSOR_COUNT,
                    c->model.layers, count);
}

/* What counts samples and tokens of the whole run, and the operations of a step. */
static void check_counters(struct conf_reader *r, const struct conf *c)
{
    const int64_t sequences = c->train.batch_tokens / c->train.context;
    const int slice = c->train.slice_tokens, units = (c->train.context + slice - 1) / slice;
    const double operations = (double)sequences / c->train.micro_batch * c->model.layers * units;

    if (c->train.batch_tokens >= CKPT_COUNTER / c->train.steps)
        conf_refuse(r, "train.batch_tokens", "expected less than %lld tokens in the run, which is "
                    "what its counters hold; found %lld in each of %lld steps",
                    (long long)CKPT_COUNTER, (long long)c->train.batch_tokens,
                    (long long)c->train.steps);
    if (sequences > INT_MAX || operations > STEP_OPERATIONS)
        conf_refuse(r, "train.batch_tokens",
                    "expected a step of at most %.0f operations (sequences "
                    "/ train.micro_batch x units x blocks); found %lld sequences of %d units, %d "
                    "at once, in %d blocks", STEP_OPERATIONS, (long long)sequences, units,
                    c->train.micro_batch, c->model.layers);
}

void conf_check_limits(struct conf_reader *r)
{
    const struct conf *c = r->values;
    struct param_table t = { 0 };
    struct dims d;

    check_counters(r, c);
    conf_dims(c, &d);
    check(model_layout(&t, &d) == OK);  /* conf_check.c asked the same rules */
    check_state(r, c, &t);
    param_done(&t);
}
