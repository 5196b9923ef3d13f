/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/soap/grid_soap.h"

#include <string.h>

#include "mpi/soap/soap_parts.h"
#include "mpi/soap/soap_spread.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/tiling.h"
#include "src/model/bucket.h"

/* --- making ------------------------------------------------------------------------ */

/* Elements [begin, end) of matrix k go to its owner's `at`; pieces may be NULL. */
static void add_piece(struct soap *s, int k, int from, int to, int64_t begin, int64_t end,
                      int64_t at)
{
    const struct matrix *a = &s->a[k];
    const int me = a->axis->rank;

    if (end <= begin || (from != me && to != me)) return;
    if (s->piece)
        s->piece[s->n_pieces] = (struct soap_piece){ .matrix = k, .from = from, .to = to,
                                                .begin = begin, .n = end - begin,
                                                .rest = to == me ? a->g + at : NULL };
    s->n_pieces++;
}

/* Elements [begin, end) that belong to one process at rest, there from `at` on: cut by the owners
 * of tiles. */
static void add_run(struct soap *s, int k, int to, const int64_t *cut, int64_t begin, int64_t end,
                    int64_t at)
{
    for (int from = 0; from < s->a[k].axis->size; from++) {
        const int64_t lo = cut[from] > begin ? cut[from] : begin;
        const int64_t hi = cut[from + 1] < end ? cut[from + 1] : end;
        add_piece(s, k, from, to, lo, hi, at + lo - begin);
    }
}

static void add_pieces(struct soap *s, const struct reducer *r)
{
    s->n_pieces = 0;
    for (int k = 0; k < s->n; k++) {
        const struct matrix *a = &s->a[k];
        const struct param *p = &s->m->params.p[a->param];
        const struct tiling c = tiling_of(p->shape, p->ndim);
        const int64_t *cut;
        reducer_bucket(r, bucket_of(s->m, a->param), &cut);
        if (a->owner != SOAP_SPREAD) {
            add_run(s, k, a->owner, cut, p->offset, p->offset + p->n, 0);
            continue;
        }
        for (int64_t t = 0, at, n; t < tiling_count(&c); t++) {
            tiling_at(&c, t, &at, &n);
            add_run(s, k, (int)(t % a->axis->size), cut, p->offset + at, p->offset + at + n,
                    t / a->axis->size * c.panel * c.entry);
        }
    }
}

/* Room for what we own of gradients as tiles. */
static void place_runs(struct soap *s)
{
    int64_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        n = 0;
        for (int k = 0; k < s->n_pieces; k++) {
            struct soap_piece *p = &s->piece[k];
            if (p->from != s->a[p->matrix].axis->rank) continue;
            if (pass) p->run = s->runs + n;
            n += align_reals(p->n);
        }
        if (!pass) s->runs = mem_new(n, sizeof *s->runs, "gradients of own tiles");
    }
}

/* Own spans without the matrices. */
static void find_rest(struct soap *s, const struct reducer *r, const struct soap_plan *plan)
{
    const struct param_table *t = &s->m->params;
    const struct span *own;
    const int n_own = reducer_spans(r, &own);

    s->rest = mem_new(n_own + t->count, sizeof *s->rest, "spans");
    for (int k = 0; k < n_own; k++)
        for (int i = 0; i < t->count; i++) {
            const int64_t next = i + 1 < t->count ? t->p[i + 1].offset : t->total;
            const struct span x = { t->p[i].offset > own[k].begin ? t->p[i].offset : own[k].begin,
                                    next < own[k].end ? next : own[k].end };
            if (x.end <= x.begin || plan->owner[i] != SOAP_NONE) continue;
            if (s->n_rest && s->rest[s->n_rest - 1].end == x.begin)
                s->rest[s->n_rest - 1].end = x.end;
            else s->rest[s->n_rest++] = x;
        }
}

struct soap *soap_new(const struct grid *g, const struct model *m, const struct reducer *r,
                      const struct optim_opts *o)
{
    struct soap *s = mem_new(1, sizeof *s, "SOAP");
    const struct factor_opts fo = optim_factor(o);
    struct soap_plan plan;
    int tensor = 0;

    soap_plan_init(&plan, m, &fo, &g->shape);
    *s = (struct soap){ .g = g, .m = m, .o = *o };
    s->a = mem_new(m->params.count, sizeof *s->a, "matrices");
    for (int i = 0; i < m->params.count; i++) {
        const int64_t *cut;
        struct matrix a = { .param = i, .owner = plan.owner[i], .tensor = tensor };
        if (!factored_of(&a.f, &m->params.p[i], o->max_dim)) continue;
        tensor += 2 * (a.f.has[LEFT] + a.f.has[RIGHT]);
        a.axis = reducer_bucket(r, bucket_of(m, i), &cut);
        if (!a.axis) continue;
        matrix_init(&a);
        s->a[s->n++] = a;
    }
    add_pieces(s, r);
    s->piece = mem_new(s->n_pieces, sizeof *s->piece, "pieces of gradients");
    s->request = mem_new(s->n_pieces, sizeof(MPI_Request), "pieces of gradients");
    add_pieces(s, r);
    place_runs(s);
    soap_spread_init(s);
    find_rest(s, r, &plan);
    int64_t work = 0;
    for (int k = 0; k < s->n; k++)
        if (s->a[k].owner == s->a[k].axis->rank && factor_work(&s->a[k].f) > work)
            work = factor_work(&s->a[k].f);
    s->work = mem_new(work, sizeof *s->work, "products of SOAP");
    soap_plan_done(&plan);
    return s;
}

void soap_free(struct soap *s)
{
    if (!s) return;
    soap_spread_done(s);
    for (int k = 0; k < s->n; k++) matrix_done(&s->a[k]);
    mem_free(s->a);
    mem_free(s->piece);
    mem_free(s->request);
    mem_free(s->rest);
    mem_free(s->runs);
    mem_free(s->work);
    mem_free(s);
}

int soap_rest(const struct soap *s, const struct span **rest)
{
    *rest = s->rest;
    return s->n_rest;
}

int64_t *soap_updates(struct soap *s) { return &s->updates; }

/* --- what checkpoints hold ------------------------------------------------------- */

int soap_max_dim(const struct soap *s) { return s->o.max_dim; }

int64_t soap_places(const struct soap *s, struct place *places)
{
    const int count = s->m->params.count;
    int64_t n = 0;

    for (int k = 0; k < s->n; k++) {
        const struct matrix *a = &s->a[k];
        int tensor = 3 * count + a->tensor;
        n += matrix_places(places ? places + n : NULL, a, a->f.rows, a->f.cols, count + a->param,
                          a->s.m);
        n += matrix_places(places ? places + n : NULL, a, a->f.rows, a->f.cols,
                          2 * count + a->param, a->s.v);
        for (int side = 0; side < 2; side++) {
            const int d = factor_dim(&a->f, side);
            if (!d) continue;
            n += matrix_places(places ? places + n : NULL, a, d, d, tensor++, a->s.factor[side]);
            n += matrix_places(places ? places + n : NULL, a, d, d, tensor++, a->s.basis[side]);
        }
    }
    return n;
}
