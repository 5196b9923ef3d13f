#include "mpi/train_budget.h"

#include <omp.h>
#include <unistd.h>

#include "mpi/reduce.h"
#include "mpi/saver.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
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
        b->params += half_bytes(&m->params, held, reducer_holds(r, &held), 1);
    b->grads = n * each + reducer_own(r) * (int64_t)sizeof(int64_t);
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

int train_budget(struct budget *budget, const struct conf *c, const struct dims *d,
                 const struct step_opts *o, const struct grid *g)
{
    char a[HUMAN_TEXT], b[HUMAN_TEXT];
    const int64_t have = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

    const int rc = budget_plan(budget, d, &o->pass, o->reduction);
    if (rc != OK) return rc;
    if (g->world.size > 1) share_budget(budget, d, o, g);
    const struct factor_opts factor = optim_factor(&o->optim);
    if (o->optim.kind == OPTIM_SOAP)
        budget_soap(budget, d, &factor, &g->shape, g->world.rank, omp_get_max_threads());
    budget_snapshot(budget, saver_copies(&g->world, c->checkpoint.writers,
                                         c->checkpoint.background) * budget->state);

    char *text = budget_text(budget);
    log_phase("memory, predicted\n%s", text);
    mem_free(text);
    if (budget->total <= have) return OK;
    return fail(ERR_MEMORY, "this run wants %s of memory, the machine has %s; train.micro_batch, "
                "train.remat and train.slice_tokens change what it wants",
                human_bytes(a, budget->total), human_bytes(b, have));
}

