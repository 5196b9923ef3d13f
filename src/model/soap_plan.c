/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/soap_plan.h"

#include <stdlib.h>

#include "src/base/mem.h"
#include "src/base/tiling.h"
#include "src/model/bucket.h"
#include "src/plan/step_plan.h"

struct job { int param, bucket, holders; double flops; struct factored f; };

/* Largest first; the order of the table decides between equals. */
static int by_flops(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    if (x->flops != y->flops) return x->flops < y->flops ? 1 : -1;
    return x->param - y->param;
}

int soap_is_spread(const struct factored *f, const struct factor_opts *o)
{
    return f->matrices == 1 && factor_largest(f) > o->whole_dim && f->cols <= TILE_ELEMENTS;
}

/* The stage whose processes hold bucket b; the first one, of a tied embedding. */
static int stage_of(const struct model *m, const struct grid_shape *g, int b)
{
    const struct step_shape work = { .L = m->dims.L, .cost = m->cost, .U = g->S, .sequences = g->D,
                                     .micro_batch = 1 };
    struct share a;
    int place;

    for (int p = 0; p < g->P; p++) {
        share_of(&a, g, &work, grid_rank(g, 0, p, 0));
        if (bucket_holders(g, m->dims.L, m->dims.tied, b, &a, &place)) return p;
    }
    return 0;
}

/* The rank at a place among the holders of a bucket, as bucket_holders() counts them. */
static int rank_at(const struct grid_shape *g, const struct job *j, int stage, int place)
{
    const int s = place % g->S;
    if (j->holders == g->D * g->S) return grid_rank(g, place / g->S, stage, s);
    return grid_rank(g, place / (2 * g->S), place / g->S % 2 ? g->P - 1 : 0, s);
}

static void most(int64_t *x, int64_t y)
{
    if (y > *x) *x = y;
}

/* One of `parts` equal parts of a matrix. */
static void give(struct soap_load *l, const struct job *j, int parts)
{
    const struct factored *f = &j->f;
    const int64_t n = (int64_t)f->matrices * f->rows * f->cols;

    l->flops += j->flops / parts;
    l->state += (2 * n + factor_reals(f)) / parts;
    l->gradients += n / parts;
    /* Spread: what is at rest, once more as blocks, and what products need. */
    most(&l->work, parts == 1 ? factor_work(f) : (6 * n + 2 * factor_reals(f)) / parts);
    if (parts == 1) most(&l->refresh, factor_refresh_work(f));
}

static void assign(struct soap_plan *p, const struct model *m, const struct factor_opts *o,
                   const struct grid_shape *g, const struct job *j)
{
    const int stage = stage_of(m, g, j->bucket), spread = soap_is_spread(&j->f, o);
    int best = 0;

    for (int k = 0; k < j->holders; k++) {
        struct soap_load *l = &p->load[rank_at(g, j, stage, k)];
        if (spread) give(l, j, j->holders);
        else if (l->flops < p->load[rank_at(g, j, stage, best)].flops) best = k;
    }
    p->owner[j->param] = spread ? SOAP_SPREAD : best;
    if (!spread) give(&p->load[rank_at(g, j, stage, best)], j, 1);
}

void soap_plan_init(struct soap_plan *p, const struct model *m, const struct factor_opts *o,
                    const struct grid_shape *g)
{
    const int count = m->params.count;
    struct job *jobs = mem_new(count, sizeof *jobs, "matrices of SOAP");
    int n = 0;

    *p = (struct soap_plan){ .owner = mem_new(count, sizeof *p->owner, "owners of matrices"),
                             .load = mem_new(grid_ranks(g), sizeof *p->load, "loads") };
    for (int i = 0; i < count; i++) {
        struct job *j = &jobs[n];
        p->owner[i] = SOAP_NONE;
        if (!factored_of(&j->f, &m->params.p[i], o->max_dim)) continue;
        j->param = i;
        j->bucket = bucket_of(m, i);
        j->flops = factor_flops(&j->f, o->every);
        const int both = i == m->i_embed && m->dims.tied && g->P > 1;
        j->holders = (both ? 2 : 1) * g->D * g->S;
        p->share += (double)m->params.p[i].n / (double)m->params.n;
        n++;
    }
    qsort(jobs, (size_t)n, sizeof *jobs, by_flops);
    for (int k = 0; k < n; k++) assign(p, m, o, g, &jobs[k]);
    mem_free(jobs);
}

void soap_bytes(int64_t *moments, int64_t *scratch, const struct soap_plan *p, int rank,
                int64_t own, int threads)
{
    const struct soap_load *l = &p->load[rank];
    const int64_t matrices = (int64_t)(p->share * (double)own);

    *moments = (2 * (own - matrices) + l->state) * (int64_t)sizeof(real);
    *scratch = (matrices + l->gradients + l->work + threads * l->refresh) * (int64_t)sizeof(real);
}

void soap_plan_done(struct soap_plan *p)
{
    mem_free(p->owner);
    mem_free(p->load);
    *p = (struct soap_plan){ 0 };
}
