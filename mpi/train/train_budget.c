#include "mpi/train/train_budget.h"

#include <string.h>

#include <omp.h>

#include "mpi/save/saver_tiles.h"
#include "mpi/step/reduce.h"
#include "src/base/failpoint.h"
#include "src/base/human.h"
#include "src/base/limit.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/infer/eval.h"
#include "src/model/stage.h"
#include "src/plan/step_plan.h"

/* The budget of this rank: the weights and gradients that it holds, the moments that it owns, its
 * layers and units. */
static void share_budget(struct budget *b, const struct dims *d, const struct step_opts *o,
                         const struct grid *g)
{
    const struct step_shape work = { .L = d->L, .U = pass_units(&o->pass),
                                     .sequences = (int)o->batch,
                                     .micro_batch = o->pass.micro_batch,
                                     .mode = o->pass.sequence_mode };
    const int64_t each = o->reduction == REDUCE_EXACT ? sizeof(int64_t) : sizeof(real);
    struct model *m;
    struct step_plan plan;
    struct pass_bytes pass;
    const struct span *held;

    check(model_shape(&m, d) == OK);
    struct reducer *r = reducer_new(g, m);
    step_plan_init(&plan, &g->shape, &work, d->tied, g->world.rank);
    const struct stage_part part = stage_part_of(&plan, &g->shape, &o->pass);
    check(stage_plan(&pass, d, &o->pass, &part) == OK);
    int64_t n = 0;
    for (int i = reducer_holds(r, &held) - 1; i >= 0; i--) n += held[i].end - held[i].begin;
    b->params = n * (int64_t)sizeof(real);
    if (o->pass.bf16)
        b->params += bf16_weights_bytes(&m->params, held, reducer_holds(r, &held), 1);
    b->grads = n * each + reducer_part(r) * (int64_t)sizeof(int64_t);
    b->moments = 2 * reducer_own(r) * (int64_t)(o->pass.bf16_moments ? sizeof(bf16) : sizeof(real));
    b->state = b->moments + reducer_own(r) * (int64_t)sizeof(real);
    b->tape = pass.tape;
    b->logits = pass.logits;
    b->scratch = pass.scratch;
    b->total = b->params + b->grads + b->moments + b->tape + b->logits + b->scratch;
    step_plan_done(&plan);
    reducer_free(r);
    model_free(m);
}

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
static int too_much(int64_t want, int64_t have, const struct step_opts *o)
{
    const struct optim_opts *opt = &o->optim;
    char a[HUMAN_TEXT], b[HUMAN_TEXT];

    return fail(ERR_MEMORY, "this run wants %s of memory on a machine of %s; %s%s%s%s"
                "train.slice_tokens and more machines change what it wants",
                human_bytes(a, want), human_bytes(b, have),
                o->reduction == REDUCE_EXACT ? "train.reduction=fast, " : "",
                opt->kind == OPTIM_ADAMW && opt->state != MOMENTS_BF16 ? "optim.state=bf16, " : "",
                o->pass.remat == REMAT_BLOCK ? "" : "train.remat=block, ",
                o->pass.micro_batch > 1 ? "train.micro_batch=1, " : "");
}

int train_budget(struct budget *budget, enum save_from *from, const struct conf *c,
                 const struct dims *d, const struct step_opts *o, const struct grid *g)
{
    const int64_t have = limit_memory();
    char copy[HUMAN_TEXT], left[HUMAN_TEXT];

    const int rc = budget_plan(budget, d, &o->pass, o->reduction);
    if (rc != OK) return rc;
    if (g->world.size > 1) share_budget(budget, d, o, g);
    const struct factor_opts factor = optim_factor(&o->optim);
    if (o->optim.kind == OPTIM_SOAP)
        budget_soap(budget, d, &factor, &g->shape, g->world.rank, omp_get_max_threads());

    /* What one rank evaluates with; several use what a step does. */
    const struct eval_opts eval = { .context = o->pass.context };
    if (c->data.val[0] && g->world.size == 1)
        budget_evaluation(budget, eval_memory(d, o->pass.bf16, &eval));
    *from = c->checkpoint.background ? SAVE_COPY : SAVE_AT_ONCE;
    for (;;) {
        budget_snapshot(budget, saver_tiles_copies(&g->world, c->checkpoint.writers,
                                                   *from == SAVE_COPY, budget->state));
        const int64_t want = on_machine(g, budget->total);
        int short_of = want > budget_room(have) ||
                       (*from == SAVE_COPY && FAILPOINT("train.no_room") != OK);
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, &short_of, 1, MPI_INT, MPI_MAX, g->world.comm));
        if (short_of && *from == SAVE_COPY) {
            log_phase("no room for a copy of the state, %s a process: while a checkpoint is "
                      "written the next update waits", human_bytes(copy, budget->state));
            *from = SAVE_IN_PLACE;
            continue;
        }
        char *text = budget_text(budget);
        log_phase("memory, predicted");
        for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL;)
            if (line[0]) log_phase("%s", line);
        mem_free(text);
        if (want <= have && want > budget_room(have))
            log_warn("of the machine's %s little is left for MPI and the system: %s",
                     human_bytes(copy, have), human_bytes(left, have - want));
        return want > have ? too_much(want, have, o) : OK;
    }
}
