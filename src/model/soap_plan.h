/* SPDX-License-Identifier: Apache-2.0 */
/* soap_plan.h -- which process rotates, averages and decomposes which matrix.
 *
 * A matrix is whole on one of the processes that hold its bucket (model/bucket.h): the largest
 * first, each to the one with the least work so far, so that all work about equally long.  Those
 * with a factor larger than whole_dim are spread over all holders.  A pure function of shapes and
 * grid: every process knows everybody's share.
 */
#ifndef SOAP_PLAN_H
#define SOAP_PLAN_H

#include "src/model/model.h"
#include "src/param/factor.h"
#include "src/plan/share.h"

enum { SOAP_NONE = -1, SOAP_SPREAD = -2 };

/* Of one process. */
struct soap_load {
    double  flops;     /* of a step, as factor_flops() counts                    */
    int64_t state;     /* reals: moments, factors, bases                         */
    int64_t gradients; /* reals of its matrices                                  */
    int64_t work;      /* reals it works in, but for refreshes                   */
    int64_t refresh;   /* and of each thread of a refresh                        */
};

struct soap_plan {
    int              *owner;  /* (parameters) place among the holders of its bucket, SOAP_SPREAD,
                               * or SOAP_NONE where AdamW updates; owned                     */
    struct soap_load *load;   /* (ranks of the grid); owned                                  */
    double            share;  /* of all parameters, that are not SOAP_NONE                   */
};

void soap_plan_init(struct soap_plan *p, const struct model *m, const struct factor_opts *o,
                    const struct grid_shape *g);
void soap_plan_done(struct soap_plan *p);

/* Bytes of a rank that owns `own` elements of gradients as tiles: all moments with factors and
 * bases; what SOAP works in, on so many threads. */
void soap_bytes(int64_t *moments, int64_t *scratch, const struct soap_plan *p, int rank,
                int64_t own, int threads);

/* Is this parameter's matrix spread over processes? */
int soap_is_spread(const struct factored *f, const struct factor_opts *o);

#endif
