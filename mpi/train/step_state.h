/* SPDX-License-Identifier: Apache-2.0 */
/* step_state.h -- inside the stepper (train_step.c, step_source.c). */
#ifndef STEP_STATE_H
#define STEP_STATE_H

#include "mpi/state/guard.h"
#include "mpi/train/train_step.h"

struct stepper {
    struct step_opts   o;
    const struct grid *grid;
    struct reducer    *reducer;     /* borrowed from the state                      */
    struct step_exec  *exec;
    struct guard      *guard;       /* NULL: not wanted                             */
    struct grad        grad;
    int                reads;       /* does our stage look at tokens?               */
    struct step_batch  batch;       /* its arrays are owned                         */
    int64_t           *ids;         /* (o.batch) which samples of the data set      */
    int               *hit;         /* (o.batch) samples that were not finite       */
    struct fixed      *sums;        /* (3,L) inner losses, summed                   */
    double            *inner;       /* (3,L) their means                            */
    int                L;
};

/* Find where a step that is not finite began, and fill in r->what and r->samples.
 *
 * Collective on the grid: the batch is read forward again, and every residual stream is looked
 * at. */
void step_source(struct step_result *r, struct stepper *s);

/* Forward only over the batch; w: where residual streams are looked at, or NULL.  Collective on the
 * grid. */
void step_forward(struct stepper *s, struct watch *w, struct pass_sums *sums);

#endif
