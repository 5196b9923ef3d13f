/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h -- where the time of a training run went, from the trace of its operations. */
#ifndef PROFILE_H
#define PROFILE_H

#include "mpi/step/trace.h"

struct model;

struct profile_of {
    const struct model *m;
    double tokens;      /* that all ranks trained on                           */
    int    context;
    double gflops;      /* of dense products, while all other ranks compute    */
    double peak_gflops; /* arithmetic peak of all ranks together               */
    double elapsed_s;   /* of the training, with everything that is no operation */
};

/* Print, on the first rank, the seconds of each kind of operation, summed over ranks, and for
 * products their rate compared with both limits.  Model FLOPs do not count activation
 * recomputation.
 *
 * Collective on axis. */
void profile_print(const struct trace *t, const struct axis *axis, const struct profile_of *p);

#endif
