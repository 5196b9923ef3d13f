/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/reduce.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/model/bucket.h"
#include "src/plan/step_plan.h"

#define ORDERS INT64_C(1000000007)  /* a prime: equal remainders are equal orders, nearly always */

struct bucket {
    const struct axis *axis;    /* who holds it; NULL: not us                     */
    int64_t            begin, end;
    int64_t           *cut;     /* (axis->size + 1) where owners' runs begin      */
    int               *counts;  /* (axis->size) their lengths                     */
    void              *part;    /* a run as it comes, room for the longest        */
    int                longest; /* of them, elements                              */
    int                tag, round;  /* round 0: not begun, or done                */
    MPI_Request        request[2];  /* of the round: receive, send                */
};

struct reducer {
    const struct grid *g;
    struct grad       *grad;
    int                buckets;
    struct bucket     *b;       /* (buckets) by number, see step_plan.h           */
    struct span       *own, *held;
    int                n_own, n_held;
    int64_t            bytes;
    int64_t            order;   /* of the buckets begun on the replica axis       */
};

/* The ranks that hold bucket b; NULL if we do not. */
static const struct axis *holders(const struct grid *g, const struct model *m, int b,
                                  const struct share *a)
{
    const int L = m->dims.L, first = a->p == 0, last = a->p == g->shape.P - 1;
    if (b == BUCKET_EMBED(L)) {
        if (!first && !(last && m->dims.tied)) return NULL;
        return m->dims.tied && g->shape.P > 1 ? &g->ends : &g->replica;
    }
    if (b == BUCKET_HEAD(L)) return last ? &g->replica : NULL;
    return b >= a->l0 && b < a->l1 ? &g->replica : NULL;
}

static void bucket_init(struct bucket *b, const struct model *m, int number,
                        const struct axis *axis)
{
    *b = (struct bucket){ .axis = axis, .tag = number };
    if (!axis) return;
    b->cut = mem_new(axis->size + 1, sizeof *b->cut, "bucket");
    b->counts = mem_new(axis->size, sizeof *b->counts, "bucket");
    bucket_cut(b->cut, m, number, axis->size);
    b->begin = b->cut[0];
    b->end = b->cut[axis->size];
    for (int i = 0; i < axis->size; i++) {
        b->counts[i] = mpi_count(b->cut[i + 1] - b->cut[i]);
        if (b->counts[i] > b->longest) b->longest = b->counts[i];
    }
    if (axis->size > 1) b->part = mem_new(b->longest, sizeof(int64_t), "gradient sums");
}

static int by_begin(const void *a, const void *b)
{
    const int64_t x = ((const struct span *)a)->begin, y = ((const struct span *)b)->begin;
    return (x > y) - (x < y);
}

/* In order, neighbours joined; returns how many are left. */
static int tidy(struct span *list, int n)
{
    int k = 0;
    qsort(list, (size_t)n, sizeof *list, by_begin);
    for (int i = 1; i < n; i++)
        if (list[i].begin == list[k].end) list[k].end = list[i].end;
        else list[++k] = list[i];
    return n ? k + 1 : 0;
}

struct reducer *reducer_new(const struct grid *g, const struct model *m)
{
    const int n = m->dims.L + 2;
    const struct step_shape shape = { .L = m->dims.L, .cost = m->cost, .U = g->shape.S,
                                      .sequences = g->shape.D,
                                      .micro_batch = 1 };
    struct reducer *r = mem_new(1, sizeof *r, "reducer");
    struct share a;

    share_of(&a, &g->shape, &shape, g->world.rank);
    *r = (struct reducer){ .g = g, .buckets = n };
    r->b = mem_new(n, sizeof *r->b, "buckets");
    r->own = mem_new(n, sizeof *r->own, "buckets");
    r->held = mem_new(n, sizeof *r->held, "buckets");
    for (int i = 0; i < n; i++) {
        struct bucket *b = &r->b[i];
        int place;
        const int count = bucket_holders(&g->shape, n - 2, m->dims.tied, i, &a, &place);
        bucket_init(b, m, i, holders(g, m, i, &a));
        check(b->axis ? b->axis->size == count && b->axis->rank == place : count == 0);
        if (!b->axis) continue;
        r->held[r->n_held++] = (struct span){ b->begin, b->end };
        const struct span own = { b->cut[b->axis->rank], b->cut[b->axis->rank + 1] };
        if (own.end > own.begin) r->own[r->n_own++] = own;
    }
    r->n_own = tidy(r->own, r->n_own);
    r->n_held = tidy(r->held, r->n_held);
    return r;
}

void reducer_free(struct reducer *r)
{
    if (!r) return;
    for (int i = 0; i < r->buckets; i++) {
        mem_free(r->b[i].cut);
        mem_free(r->b[i].counts);
        mem_free(r->b[i].part);
    }
    mem_free(r->b);
    mem_free(r->own);
    mem_free(r->held);
    mem_free(r);
}

int reducer_spans(const struct reducer *r, const struct span **own)
{
    *own = r->own;
    return r->n_own;
}

int reducer_holds(const struct reducer *r, const struct span **held)
{
    *held = r->held;
    return r->n_held;
}

int64_t reducer_own(const struct reducer *r)
{
    int64_t n = 0;
    for (int i = 0; i < r->n_own; i++) n += r->own[i].end - r->own[i].begin;
    return n;
}

const struct axis *reducer_bucket(const struct reducer *r, int b, const int64_t **cut)
{
    *cut = r->b[b].cut;
    return r->b[b].axis;
}

int64_t reducer_bytes(const struct reducer *r) { return r->bytes; }

void reducer_attach(struct reducer *r, struct grad *g) { r->grad = g; }

/* --- sums ------------------------------------------------------------------- *
 *
 * Around the ring of ranks that hold a bucket, an owner's run from rank to rank:
 *
 *   round k:  run of rank - k to the next rank;  run of rank - k - 1 from the one before, added
 *   k = n-1:  our own run comes home
 *
 * Every rank sends and adds the same amount, only to its neighbour, so that each node sends each
 * run once; and rounds progress while a rank computes.  (Open MPI 4.1 sums all of an
 * MPI_Ireduce_scatter on one rank.)  Sums of other runs end up in the gradient, where nobody
 * reads them. */

/* Elements [at, ...) of the gradient sums, and their type. */
static void *sums_at(const struct reducer *r, int64_t at, MPI_Datatype *type)
{
    const int exact = r->grad->mode == REDUCE_EXACT;
    *type = exact ? MPI_INT64_T : REAL_MPI;
    return exact ? (void *)(r->grad->fixed + at) : (void *)(r->grad->floats + at);
}

/* Whose run is k places before ours. */
static int run_before(const struct bucket *b, int k)
{
    return (b->axis->rank - k + 2 * b->axis->size) % b->axis->size;
}

static void start_round(struct reducer *r, struct bucket *b)
{
    const struct axis *x = b->axis;
    const int out = run_before(b, b->round), in = run_before(b, b->round + 1);
    MPI_Datatype type;
    const void *sums = sums_at(r, b->cut[out], &type);

    mpi_do(MPI_Irecv(b->part, b->counts[in], type, run_before(b, 1), b->tag, x->comm,
                     &b->request[0]));
    mpi_do(MPI_Isend(sums, b->counts[out], type, (x->rank + 1) % x->size, b->tag, x->comm,
                     &b->request[1]));
}

/* What has come is added; the next round begins. */
static void finish_round(struct reducer *r, struct bucket *b)
{
    const int in = run_before(b, b->round + 1);
    const int64_t n = b->counts[in];
    MPI_Datatype type;
    void *sums = sums_at(r, b->cut[in], &type);

    if (r->grad->mode == REDUCE_EXACT) {
        int64_t *sum = sums;
        const int64_t *part = b->part;
        #pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) sum[i] += part[i];
    } else {
        real *sum = sums;
        const real *part = b->part;
        #pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < n; i++) sum[i] += part[i];
    }
    if (++b->round < b->axis->size) start_round(r, b);
    else b->round = 0;
}

void reducer_begin(struct reducer *r, int bucket)
{
    struct bucket *b = &r->b[bucket];
    MPI_Datatype type;
    int each;

    check(b->axis && !b->round);
    grad_end(r->grad, b->begin, b->end);
    if (b->axis->size == 1) return;
    if (b->axis == &r->g->replica) r->order = (r->order * (r->buckets + 1) + bucket + 1) % ORDERS;
    sums_at(r, 0, &type);
    mpi_do(MPI_Type_size(type, &each));
    r->bytes += (b->end - b->begin - b->counts[b->axis->rank]) * each;
    b->round = 1;
    start_round(r, b);
}

void reducer_progress(struct reducer *r)
{
    for (int i = 0; i < r->buckets; i++) {
        struct bucket *b = &r->b[i];
        int done = 0;
        if (b->round) mpi_poll(MPI_Testall(2, b->request, &done, mpi_ignored));
        if (done) finish_round(r, b);
    }
}

void reducer_end(struct reducer *r)
{
    axis_check_agree(&r->g->replica, r->order, "order of buckets");
    axis_check_agree(&r->g->replica, r->grad->mode, "reduction");
    r->order = 0;
    for (int i = 0; i < r->buckets; i++)
        for (struct bucket *b = &r->b[i]; b->round; finish_round(r, b))
            mpi_do(MPI_Waitall(2, b->request, mpi_ignored));
}

void reducer_gather(struct reducer *r, real *w)
{
    for (int i = 0; i < r->buckets; i++) {
        struct bucket *b = &r->b[i];
        if (!b->axis || b->axis->size == 1) continue;
        int *places = mem_new(b->axis->size, sizeof *places, "gather");
        for (int k = 0; k < b->axis->size; k++) places[k] = mpi_count(b->cut[k] - b->begin);
        mpi_do(MPI_Allgatherv(MPI_IN_PLACE, 0, REAL_MPI, w + b->begin, b->counts, places,
                              REAL_MPI, b->axis->comm));
        r->bytes += (b->end - b->begin - b->counts[b->axis->rank]) * (int64_t)sizeof(real);
        mem_free(places);
    }
}
