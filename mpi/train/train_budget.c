/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/train_budget.h"

#include <string.h>

#include "src/base/failpoint.h"
#include "src/base/human.h"
#include "src/base/limit.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

/* The sum over the ranks of this machine.  Collective. */
static int64_t on_machine(const struct grid *g, int64_t bytes)
{
    MPI_Comm near;
    mpi_do(MPI_Comm_split_type(g->world.comm, MPI_COMM_TYPE_SHARED, g->world.rank, MPI_INFO_NULL,
                               &near));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_SUM, near));
    mpi_do(MPI_Comm_free(&near));
    return bytes;
}

/* What of the configuration would change it. */
static int too_much(int64_t want, int64_t have, const struct conf *c)
{
    char a[HUMAN_TEXT], b[HUMAN_TEXT];

    return fail(ERR_MEMORY, "this run wants %s of memory on a machine of %s; %s%s%s%s"
                "train.slice_tokens and more machines change what it wants",
                human_bytes(a, want), human_bytes(b, have),
                c->train.reduction == REDUCE_EXACT ? "train.reduction=fast, " : "",
                c->optim.kind == OPTIM_ADAMW && c->optim.state != MOMENTS_BF16
                    ? "optim.state=bf16, " : "",
                c->train.remat == REMAT_BLOCK ? "" : "train.remat=block, ",
                c->train.micro_batch > 1 ? "train.micro_batch=1, " : "");
}

static void print_table(const struct memory *m, int64_t n_params)
{
    char *text = memory_text(m, n_params);

    log_phase("memory, predicted");
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL;)
        if (line[0]) log_phase("%s", line);
    mem_free(text);
}

/* Does a machine have too little for its ranks, each with a copy of its state?  want [out]: what
 * those of this one take.  Collective. */
static int is_short(int64_t *want, const struct memory *m, int64_t have, const struct grid *g)
{
    *want = on_machine(g, m->total);
    int yes = *want > memory_room(have) || FAILPOINT("train.no_room") != OK;
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &yes, 1, MPI_INT, MPI_MAX, g->world.comm));
    return yes;
}

int train_budget(struct memory *m, int64_t *n_params, enum save_from *from, const struct conf *c,
                 const struct grid *g)
{
    const int64_t have = limit_memory();
    char copy[HUMAN_TEXT], left[HUMAN_TEXT];
    struct memory_plan plan;
    struct run_shape run;
    int64_t want;
    int rc;

    run_shape_of(&run, c);
    TRY(memory_plan_init(&plan, &run));
    TRY(memory_plan_grid(&plan, &g->shape));
    memory_of(m, &plan, g->world.rank);
    *n_params = plan.shape->params.n;
    *from = run.background ? SAVE_COPY : SAVE_AT_ONCE;
    if (is_short(&want, m, have, g) && *from == SAVE_COPY) {
        log_phase("no room for a copy of the state, %s a process: while a checkpoint is written "
                  "the next update waits", human_bytes(copy, m->state));
        *from = SAVE_IN_PLACE;
        memory_in_place(m);
        want = on_machine(g, m->total);
    }
    print_table(m, *n_params);
    if (want <= have && want > memory_room(have))
        log_warn("of the machine's %s little is left for the system: %s", human_bytes(copy, have),
                 human_bytes(left, have - want));
    if (want > have) rc = too_much(want, have, c);
out:
    memory_plan_done(&plan);
    return rc;
}
