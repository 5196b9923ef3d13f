/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/run_shape.h"

#include "src/conf/conf.h"

void run_shape_of(struct run_shape *r, const struct conf *c)
{
    *r = (struct run_shape){
        .reduction = (enum reduction)c->train.reduction,
        .sequences = c->train.batch_tokens / c->train.context,
        .writers = c->checkpoint.writers, .background = c->checkpoint.background,
        .evaluates = c->data.val[0] != '\0', .eval_tokens = c->eval.max_tokens,
        .eval_context = c->eval.context,
    };
    conf_dims(c, &r->dims);
    conf_pass(c, &r->pass, -1);
    if (c->optim.kind == OPTIM_SOAP) r->soap = optim_factor(&c->optim);
}
