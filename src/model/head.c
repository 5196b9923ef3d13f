#include "src/model/head.h"

#include "src/base/poke.h"
#include "src/kernels/gemm.h"
#include "src/kernels/xent.h"

static int chunk(int left) { return left <= HEAD_ROWS + 1 ? left : HEAD_ROWS; }

void head_lay_out(struct head_work *w, struct arena *a, const struct dims *d, int T)
{
    const int rows = T <= HEAD_ROWS ? T : HEAD_ROWS + 1;
    w->logits = arena_reals(a, (int64_t)rows * d->V);
    w->scale = arena_reals(a, rows);
    w->dx = arena_reals(a, (int64_t)T * d->C);
    w->dw = arena_reals(a, d->C);
    w->nll = arena_bytes(a, rows * (int64_t)sizeof *w->nll);
    w->target = arena_bytes(a, rows * (int64_t)sizeof *w->target);
}

double head_unit(struct head_work *w, struct grad *g, const struct head_unit *u)
{
    const struct dims *d = &u->m->dims;
    const int V = d->V, C = d->C;
    const int64_t at = u->m->params.p[u->m->i_head].offset;
    double sum = 0;

    for (int t = 0, n; t < u->T; t += n) {
        poke();
        n = chunk(u->T - t);
        const real *x = u->x + (int64_t)t * C;
        for (int i = 0; i < n; i++) {
            const int scored = head_scored(u->target[t + i], u->mask_token);
            w->target[i] = scored ? u->target[t + i] : -1;
            w->scale[i] = scored ? (real)u->scale : 0;
        }
        model_logits(u->m, w->logits, x, n);
        if (g) xent_grad(w->logits, w->nll, w->target, w->scale, n, V);
        else xent_forward(w->nll, w->logits, w->target, n, V);
        for (int i = 0; i < n; i++) sum += w->nll[i];
        if (u->tap && u->tap->nll)
            u->tap->nll(u->tap->ctx, u->sequence, u->position + t, w->nll, w->target, n);
        if (!g) continue;
        gemm_nn(w->dx + (int64_t)t * C, C, w->logits, V, u->m->w + at, C, n, C, V, n, GEMM_SET);
        grad_add_tn(g, at, w->logits, V, x, C, V, C, n);
    }
    return sum;
}
