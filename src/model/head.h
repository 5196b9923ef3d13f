/* SPDX-License-Identifier: Apache-2.0 */
/* head.h -- the end of the model: logits, loss, and the way back, for one unit.
 *
 * Logits of all rows are never held: HEAD_ROWS rows at a time become
 * logits, loss and gradient, and are forgotten.
 */
#ifndef HEAD_H
#define HEAD_H

#include "src/model/model.h"
#include "src/model/pass_opts.h"
#include "src/param/grad.h"

/* Rows at once: part of the result (each chunk is one contribution to the
 * head's gradient), so the same everywhere. */
#define HEAD_ROWS 1024

/* Scratch; dx (T,C) is where head_unit() leaves the gradient of x. */
struct head_work {
    real   *logits, *scale, *dx, *dw;
    double *nll;
    int32_t *target;
    struct bf16_work bf16;
};

void head_lay_out(struct head_work *w, struct arena *a, const struct model *m, int T,
                  int way_back);

/* Is this target scored?  Negative ids and mask_token are not. */
static inline int head_scored(int32_t target, int mask_token)
{
    return target >= 0 && target != mask_token;
}

struct head_unit {
    const struct model *m;
    const real         *x;          /* (T,C) after the final norm             */
    const int32_t      *target;     /* (T)                                    */
    int                 T, mask_token;
    double              scale;      /* gradient of one scored row             */
    const struct pass_tap *tap;     /* NULL, or what receives the losses of   */
    int64_t             sequence, position;
};

/* returns the sum of the unit's NLL; with g, the head's gradient is added
 * and w->dx set. */
double head_unit(struct head_work *w, struct grad *g, const struct head_unit *u);

#endif
