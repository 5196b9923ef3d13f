#include "src/model/budget.h"

#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/model/model.h"
#include "src/model/soap_plan.h"

int budget_plan(struct budget *b, const struct dims *d, const struct pass_opts *o,
                enum reduction mode)
{
    struct param_table t = { 0 };
    struct pass_bytes pass = { 0 };
    int rc = OK;

    *b = (struct budget){ 0 };
    TRY(model_layout(&t, d));
    TRY(pass_plan(&pass, d, o));
    b->n_params = t.n;
    b->params = t.total * (int64_t)sizeof(real);
    b->moments = (o->bf16_moments ? 2 * (int64_t)sizeof(bf16) : 2 * (int64_t)sizeof(real)) * t.total;
    b->state = b->params + b->moments;
    if (o->bf16) b->params += bf16_weights_bytes(&t, &(struct span){ 0, t.total }, 1, 1);
    b->grads = t.total * (int64_t)(mode == REDUCE_EXACT ? sizeof(int64_t) : sizeof(real));
    b->tape = pass.tape;
    b->logits = pass.logits;
    b->scratch = pass.scratch;
    b->total = b->params + b->grads + b->moments + b->tape + b->logits + b->scratch;
out:
    param_done(&t);
    return rc;
}

void budget_soap(struct budget *b, const struct dims *d, const struct factor_opts *o,
                 const struct grid_shape *g, int rank, int threads)
{
    const int64_t own = b->moments / (2 * (int64_t)sizeof(real));
    int64_t moments, scratch;
    struct soap_plan plan;
    struct model *m;

    check(model_shape(&m, d) == OK);
    soap_plan_init(&plan, m, o, g);
    soap_bytes(&moments, &scratch, &plan, rank, own, threads);
    b->total += moments - b->moments + scratch;
    b->state += moments - b->moments;
    b->moments = moments;
    b->scratch += scratch;
    soap_plan_done(&plan);
    model_free(m);
}

void budget_snapshot(struct budget *b, int64_t bytes)
{
    b->total += bytes - b->snapshot;
    b->snapshot = bytes;
}

void budget_evaluation(struct budget *b, int64_t bytes)
{
    b->total += bytes - b->evaluation;
    b->evaluation = bytes;
}

int64_t budget_room(int64_t memory) { return memory - memory / 16; }

char *budget_text(const struct budget *b)
{
    char p[HUMAN_TEXT], g[HUMAN_TEXT], m[HUMAN_TEXT], t[HUMAN_TEXT], l[HUMAN_TEXT], s[HUMAN_TEXT],
        c[HUMAN_TEXT], e[HUMAN_TEXT], sum[HUMAN_TEXT];
    return mem_format("  parameters %12s   (%lld)\n  gradients  %12s\n  moments    %12s\n"
                      "  tape       %12s\n  logits     %12s\n  scratch    %12s\n"
                      "  evaluation %12s\n  snapshot   %12s\n  sum        %12s",
                      human_bytes(p, b->params), (long long)b->n_params, human_bytes(g, b->grads),
                      human_bytes(m, b->moments), human_bytes(t, b->tape),
                      human_bytes(l, b->logits), human_bytes(s, b->scratch),
                      human_bytes(e, b->evaluation), human_bytes(c, b->snapshot),
                      human_bytes(sum, b->total));
}
