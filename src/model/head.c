/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/head.h"

#include "src/base/poke.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/xent.h"

static int chunk(int left) { return left < HEAD_ROWS ? left : HEAD_ROWS; }

/* In bf16: rows of x or of the logits' gradient, these transposed, panels of x. */
static void lay_out_bf16(struct bf16_work *w, struct arena *a, const struct dims *d, int rows,
                         int way_back)
{
    const int64_t size = (int64_t)sizeof(bf16);
    *w = (struct bf16_work){ .rows = NULL };
    w->rows = arena_bytes(a, bf16_rows_size(rows, way_back && d->V > d->C ? d->V : d->C) * size);
    if (!way_back) return;
    w->transposed = arena_bytes(a, bf16_rows_size(d->V, rows) * size);
    w->panels = arena_bytes(a, bf16_panels_size(rows, d->C) * size);
}

void head_lay_out(struct head_work *w, struct arena *a, const struct model *m, int T, int way_back)
{
    const struct dims *d = &m->dims;
    const int rows = chunk(T);
    w->logits = arena_reals(a, (int64_t)rows * d->V);
    w->scale = arena_reals(a, rows);
    w->dx = arena_reals(a, (int64_t)T * d->C);
    w->dw = arena_reals(a, d->C);
    w->nll = arena_bytes(a, rows * (int64_t)sizeof *w->nll);
    w->target = arena_bytes(a, rows * (int64_t)sizeof *w->target);
    if (m->bf16 && T) lay_out_bf16(&w->bf16, a, d, rows, way_back);
}

/* The gradient of n rows of logits, in w->logits: to dx (n,C) and the head's weights. */
static void way_back(struct head_work *w, struct grad *g, const struct model *m, real *dx,
                     const real *x, int n)
{
    const int V = m->dims.V, C = m->dims.C;
    const int64_t at = m->params.p[m->i_head].offset;

    if (!m->bf16) {
        const int set = grad_starts_tn(g, at, V, C);
        #pragma omp parallel
        {
            gemm_team(&(struct gemm){ .C = dx, .A = w->logits, .B = m->w + at, .N = n, .M = C,
                                      .K = V });
            grad_add_tn_team(g, at, w->logits, x, V, C, n, set);
        }
        return;
    }
    struct bf16_work *h = &w->bf16;
    bf16_rows(h->rows, w->logits, V, n, V);
    gemm_bf16(&(struct gemm_bf16){ .C = dx, .rows = h->rows,
                                   .panels = m->bf16->w[m->i_head].backward,
                                   .N = n, .M = C, .K = V });
    bf16_transposed(h->transposed, h->rows, n, V);
    bf16_panels(h->panels, x, C, n, C);
    grad_add_tn_bf16(g, at, h->transposed, h->panels, V, C, n);
}

double head_unit(struct head_work *w, struct grad *g, const struct head_unit *u)
{
    const int V = u->m->dims.V, C = u->m->dims.C;
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
        model_logits(u->m, w->logits, x, n, w->bf16.rows);
        if (g) xent_grad(w->logits, w->nll, w->target, w->scale, n, V);
        else xent_forward(w->nll, w->logits, w->target, n, V);
        for (int i = 0; i < n; i++) sum += w->nll[i];
        if (u->tap && u->tap->nll)
            u->tap->nll(u->tap->ctx, u->sequence, u->position + t, w->nll, w->target, n);
        if (g) way_back(w, g, u->m, w->dx + (int64_t)t * C, x, n);
    }
    return sum;
}
