/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/bench/bench_step.h"

#include <math.h>

#include "src/base/rng.h"
#include "src/base/status.h"

/* The same tokens on every grid. */
static void fill(struct bench_step *b, uint64_t seed)
{
    const struct step_batch *t = stepper_batch(b->stepper);
    const int context = b->setup.step.pass.context;
    const uint64_t key = rng_key(seed, "tokens"), V = (uint64_t)b->setup.dims.V;

    for (int q = 0; q < t->n; q++) {
        const uint64_t from = (uint64_t)((t->first + q) * (context + 1) + t->position);
        t->valid[q] = context;
        for (int64_t i = 0; i < t->stride; i++)
            t->windows[q * t->stride + i] = (int32_t)(rng_u64(key, from + (uint64_t)i) % V);
    }
    if (b->setup.grid.p == b->setup.grid.shape.P - 1)
        b->targets = t->n * (t->stride - 1);
}

int bench_step_init(struct bench_step *b, const struct conf *c, const struct axis *world)
{
    struct train_setup *s = &b->setup;
    int rc;

    TRY(train_setup_grid(s, c, -1, world));
    s->step.optim.warmup_steps = 0;
    s->step.guard_every = 0;
    TRY(axis_agree(world, model_check_window(&s->dims, s->step.pass.context)));
    TRY(train_setup_state(s, c->run.seed));
    train_state_init(&s->state, c->run.seed);
    train_state_changed(&s->state);
    b->stepper = stepper_new(&s->state, &s->step, &s->grid);
    fill(b, (uint64_t)c->run.seed);
out:
    return rc;
}

void bench_step_done(struct bench_step *b)
{
    stepper_free(b->stepper);
    train_setup_done(&b->setup);
}

void bench_step_run(struct bench_step *b, struct step_result *r, struct trace *trace)
{
    const struct step_asks asks = { .trace = trace };
    check(stepper_step(r, b->stepper, &b->setup.state, b->targets, &asks) == OK);
}

int bench_step_verify(const struct bench_step *b, double loss)
{
    const double V = b->setup.dims.V;

    if (fabs(loss - log(V)) < 0.1 * log(V)) return OK;
    return fail(ERR_DATA, "the first loss is %g, not near ln %g = %g", loss, V, log(V));
}
