/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/save/rewind.h"

#include "mpi/save/ckpt_search.h"
#include "src/base/status.h"

static int load(struct ckpt *c, void *state) { return train_state_load(state, c); }

int rewind_run(struct train_state *s, const struct run_folder *run, struct ranges *left_out)
{
    const struct ranges before = s->skip;
    const int64_t sample = s->sample, seed = s->seed;
    struct ckpt *c = NULL;
    int rc = ckpt_search(&c, &s->grid->world, run->ckpt, run->quarantine, load, s);

    if (rc != OK) return rc;
    s->skip = before;
    s->seed = seed;
    left_out->n = 0;
    ranges_add(left_out, s->sample, sample);
    if (!ranges_add(&s->skip, s->sample, sample))
        rc = fail(ERR_DIVERGED, "a rewind would skip more than %d ranges of samples, and a "
                  "checkpoint names no more: look at the data, or lower optim.lr", RANGES_MAX);
    ckpt_close(c);
    return axis_agree(&s->grid->world, rc);
}
