/* SPDX-License-Identifier: Apache-2.0 */
#include "src/param/bf16_weights.h"

#include "src/base/mem.h"
#include "src/base/status.h"

struct bf16_weights *bf16_weights_new(const struct param_table *t, int way_back)
{
    struct bf16_weights *h = mem_new(1, sizeof *h, "bf16 weights");
    *h = (struct bf16_weights){ .table = t, .way_back = way_back };
    h->w = mem_new(t->count, sizeof *h->w, "bf16 weights");
    return h;
}

void bf16_weights_free(struct bf16_weights *h)
{
    if (!h) return;
    for (int i = 0; i < h->table->count; i++) {
        mem_free(h->w[i].forward);
        mem_free(h->w[i].backward);
    }
    mem_free(h->w);
    mem_free(h);
}

/* Projections, and what the head multiplies with: the last of the vocabulary. */
static int in_product(const struct param_table *t, int i)
{
    const struct param *p = &t->p[i];

    if (p->ndim != 2) return 0;
    if (p->vocabulary)
        for (int k = i + 1; k < t->count; k++)
            if (t->p[k].vocabulary) return 0;
    return p->vocabulary || p->product;
}

static int within(const struct param *p, const struct span *spans, int n)
{
    for (int i = 0; i < n; i++)
        if (p->offset >= spans[i].begin && p->offset + p->n <= spans[i].end) return 1;
    return 0;
}

/* y = x W' with W (M,K): panels (K,M); dx = dy W: panels (M,K). */
static int64_t forward_size(const struct param *p)
{
    return bf16_panels_size((int)p->shape[1], (int)p->shape[0]);
}

static int64_t backward_size(const struct param *p)
{
    return bf16_panels_size((int)p->shape[0], (int)p->shape[1]);
}

int64_t bf16_weights_bytes(const struct param_table *t, const struct span *spans, int n,
                           int way_back)
{
    int64_t sum = 0;
    for (int i = 0; i < t->count; i++)
        if (in_product(t, i) && within(&t->p[i], spans, n))
            sum += forward_size(&t->p[i]) + (way_back ? backward_size(&t->p[i]) : 0);
    return sum * (int64_t)sizeof(bf16);
}

void bf16_weights_make(struct bf16_weights *h, const real *w, const struct span *spans, int n)
{
    h->made = 1;
    for (int i = 0; i < h->table->count; i++) {
        const struct param *p = &h->table->p[i];
        struct bf16_weight *to = &h->w[i];
        const int M = (int)p->shape[0], K = (int)p->shape[1];
        if (!in_product(h->table, i) || !within(p, spans, n)) continue;
        if (!to->forward) to->forward = mem_new(forward_size(p), sizeof(bf16), "bf16 weights");
        bf16_panels_transposed(to->forward, w + p->offset, K, K, M);
        if (!h->way_back) continue;
        if (!to->backward) to->backward = mem_new(backward_size(p), sizeof(bf16), "bf16 weights");
        bf16_panels(to->backward, w + p->offset, K, M, K);
    }
}

void bf16_work_lay_out(struct bf16_work *w, struct arena *a, int64_t N, int T, int widest,
                  int way_back)
{
    *w = (struct bf16_work){ .rows = NULL };
    w->rows = arena_bytes(a, bf16_rows_size(N, widest) * (int64_t)sizeof(bf16));
    if (!way_back) return;
    w->transposed = arena_bytes(a, bf16_rows_size(widest, T) * (int64_t)sizeof(bf16));
    w->panels = arena_bytes(a, N / T * bf16_panels_size(T, widest) * (int64_t)sizeof(bf16));
}

int bf16_widest(const struct param_table *t)
{
    int64_t widest = 1;
    for (int i = 0; i < t->count; i++) {
        const struct param *p = &t->p[i];
        if (!in_product(t, i) || p->vocabulary) continue;
        for (int k = 0; k < 2; k++)
            if (p->shape[k] > widest) widest = p->shape[k];
    }
    check(widest < 1 << 30);
    return (int)widest;
}
