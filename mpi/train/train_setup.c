/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_setup.h"

#include <string.h>

#include "src/base/status.h"

int train_setup_grid(struct train_setup *s, const struct conf *c, int bos,
                     const struct axis *world)
{
    struct step_opts *o = &s->step;
    struct grid_shape shape;
    int rc = OK;

    conf_dims(c, &s->dims);
    conf_optim(c, &o->optim);
    conf_pass(c, &o->pass, bos);
    o->reduction = (enum reduction)c->train.reduction;
    o->batch = c->train.batch_tokens / c->train.context;
    o->guard_every = c->train.guard_every;
    const struct step_shape work = { .L = s->dims.L, .U = pass_units(&o->pass),
                                     .sequences = mpi_count(o->batch),
                                     .micro_batch = o->pass.micro_batch,
                                     .mode = o->pass.sequence_mode };
    if (!strcmp(c->run.grid, "auto")) shape = grid_auto(world->size, &work);
    else TRY(grid_parse(&shape, c->run.grid));
    TRY(share_check(&shape, &work));
    TRY(grid_init(&s->grid, world, &shape));
out:
    return rc;
}

int train_setup_state(struct train_setup *s, int64_t seed)
{
    const int rc = axis_agree(&s->grid.world, train_state_new(&s->state, &s->dims, seed, &s->grid));

    if (rc != OK) return rc;
    train_state_optim(&s->state, &s->step.optim);
    if (s->step.pass.bf16) model_use_bf16(s->state.model, 1);
    return OK;
}

void train_setup_done(struct train_setup *s)
{
    train_state_done(&s->state);
    if (s->grid.world.size) grid_done(&s->grid);
}
