/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/profile.h"

#include <stdio.h>

#include "src/model/flops.h"

/* Model FLOPs of all ranks in operations of one kind. */
static double flops_of(const struct profile_of *p, int kind)
{
    const double layers = p->tokens * flops_blocks(p->m, p->context);
    switch (kind) {
    case OP_FORWARD: return layers;
    case OP_BACKWARD: return 2 * layers;
    case OP_HEAD: return 3 * p->tokens * flops_head(p->m);
    default: return 0;
    }
}

/* One operation of a layer, whether ranks share it or not. */
static int plain(int kind)
{
    return kind == OP_FORWARD_SEQ ? OP_FORWARD : kind == OP_BACKWARD_SEQ ? OP_BACKWARD : kind;
}

/* What a rank reaches at most, GFLOP/s. */
struct limits { double gemm, peak; };

static void row(const char *name, double seconds, double all, double flops, const struct limits *l)
{
    printf("  %-16s %10.3f s %6.1f %%", name, seconds, 100 * seconds / all);
    if (flops > 0 && seconds > 0)
        printf(" %10.1f GFLOP/s %6.1f %% of dense products %6.1f %% of the peak",
               1e-9 * flops / seconds, 1e-9 * flops / seconds / l->gemm * 100,
               1e-9 * flops / seconds / l->peak * 100);
    puts("");
}

void profile_print(const struct trace *t, const struct axis *axis, const struct profile_of *p)
{
    enum { ALL = OP_KINDS, LIMIT, N };
    double v[N] = { 0 }, flops = 0, sum = 0;

    for (int k = 0; k < OP_KINDS; k++) v[plain(k)] += trace_seconds(t, k);
    v[ALL] = p->elapsed_s;
    v[LIMIT] = p->gflops;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, N, MPI_DOUBLE, MPI_SUM, axis->comm));
    if (axis->rank > 0) return;
    const struct limits l = { v[LIMIT] / axis->size, p->peak_gflops / axis->size };
    printf("profile of %d ranks; dense products reach %.1f GFLOP/s on all together, the peak is "
           "%.1f\n", axis->size, v[LIMIT], p->peak_gflops);
    for (int k = 0; k < OP_KINDS; k++) {
        if (v[k] > 0) row(op_name(k), v[k], v[ALL], flops_of(p, k), &l);
        flops += flops_of(p, k);
        sum += v[k];
    }
    row("all else", v[ALL] - sum, v[ALL], 0, &l);  /* data, optimizer, saves, evaluation */
    row("sum", v[ALL], v[ALL], flops, &l);
    fflush(stdout);
}
