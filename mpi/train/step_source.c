/* SPDX-License-Identifier: Apache-2.0 */
/* The batch forward only, and where the NaN of a step came from. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "mpi/train/step_state.h"

void step_forward(struct stepper *s, struct watch *w, struct pass_sums *sums)
{
    const struct step_batch *b = &s->batch;

    step_exec_watch(s->exec, w);
    step_exec_run(s->exec, s->reads ? b->windows : NULL, b->stride, b->valid, NULL, NULL, sums,
                  NULL);
    step_exec_watch(s->exec, NULL);
}

/* The first place that is not finite, INT_MAX: nowhere; r gets the samples that were hit.
 * Collective. */
static int find(struct step_result *r, struct stepper *s)
{
    struct watch w = { INT_MAX, s->hit + s->batch.first };
    struct pass_sums sums = { 0 };

    memset(s->hit, 0, (size_t)s->o.batch * sizeof *s->hit);
    step_forward(s, &w, &sums);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &w.place, 1, MPI_INT, MPI_MIN, s->grid->world.comm));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, s->hit, mpi_count(s->o.batch), MPI_INT, MPI_MAX,
                         s->grid->world.comm));
    for (int64_t k = 0; k < s->o.batch && r->n_samples < STEP_SAMPLES; k++)
        if (s->hit[k]) r->samples[r->n_samples++] = s->ids[k];
    return w.place;
}

void step_source(struct step_result *r, struct stepper *s)
{
    const char *tensor = grad_bad_name(&s->grad);
    const int place = find(r, s);

    if (place == 0) snprintf(r->what, sizeof r->what, "output of the embedding");
    else if (place < INT_MAX)
        snprintf(r->what, sizeof r->what, "output of model.layers.%d", place - 1);
    else if (tensor) snprintf(r->what, sizeof r->what, "gradient of %s", tensor);
    else snprintf(r->what, sizeof r->what, r->bad_loss ? "loss" : "norm of the gradient");
    if (r->n_samples > 0) return;
    for (int64_t k = 0; k < s->o.batch && r->n_samples < STEP_SAMPLES; k++)
        r->samples[r->n_samples++] = s->ids[k];
}
