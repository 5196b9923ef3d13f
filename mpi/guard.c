#include "mpi/guard.h"

#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/status.h"

/* A part of the state that is one piece of memory. */
struct region { const void *data; size_t bytes; int param; const char *of; };

struct guard {
    const struct train_state *st;
    struct region *region;   /* (count): weights that we hold, then our moments */
    struct hash   *seal;     /* (count)                                         */
    int            count, weights, sealed;
};

static void add(struct guard *g, const real *data, int64_t n, int param, const char *of)
{
    g->region[g->count++] = (struct region){ data, (size_t)n * sizeof *data, param, of };
}

/* Parameters in spans of the flat array; base holds all of it, or span after span (compact). */
static void add_spans(struct guard *g, const real *base, const struct span *span, int n,
                      int compact, const char *of)
{
    const struct param_table *t = &g->st->model->params;
    int64_t before = 0;

    for (int k = 0; k < n; before += span[k].end - span[k].begin, k++)
        for (int i = 0; i < t->count; i++) {
            const struct param *p = &t->p[i];
            const int64_t begin = p->offset > span[k].begin ? p->offset : span[k].begin;
            const int64_t last = p->offset + p->n, end = last < span[k].end ? last : span[k].end;
            if (begin < end)
                add(g, base + (compact ? before + begin - span[k].begin : begin), end - begin, i,
                    of);
        }
}

struct guard *guard_new(const struct train_state *st)
{
    struct guard *g = mem_new(1, sizeof *g, "guard");
    const struct span *own, *held;
    const int n_own = reducer_spans(st->reducer, &own), n_held = reducer_holds(st->reducer, &held);
    const int64_t room = (n_held + 2 * (int64_t)n_own + 3) * st->model->params.count;

    *g = (struct guard){ .st = st, .region = mem_new(room, sizeof *g->region, "guard"),
                         .seal = mem_new(room, sizeof *g->seal, "guard") };
    add_spans(g, st->model->w, held, n_held, 0, "weights");
    g->weights = g->count;
    add_spans(g, st->m, own, n_own, 1, "first moments");
    add_spans(g, st->v, own, n_own, 1, "second moments");
    return g;
}

void guard_free(struct guard *g)
{
    if (!g) return;
    mem_free(g->region);
    mem_free(g->seal);
    mem_free(g);
}

/* The first rank whose weights are not those of most, or of the first where there are no most;
 * -1: all are equal. */
static int odd_one(const struct hash *of, int n)
{
    int most = 0, votes = 0;

    for (int i = 0; i < n; i++) {
        int same = 0;
        for (int k = 0; k < n; k++) same += hash_equal(of[i], of[k]);
        if (same > votes) votes = same, most = i;
    }
    for (int i = 0; i < n; i++)
        if (!hash_equal(of[i], of[most])) return i;
    return -1;
}

static int compare_replicas(struct guard *g)
{
    const struct axis *a = &g->st->grid->replica, *world = &g->st->grid->world;
    const struct hash mine = hash_bytes(g->seal, (size_t)g->weights * sizeof *g->seal);
    struct hash *all = mem_new(a->size, sizeof *all, "guard");
    char host[256] = "";
    int rc = OK;

    mpi_do(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, a->comm));
    const int odd = odd_one(all, a->size);
    gethostname(host, sizeof host - 1);
    if (odd == a->rank)
        rc = fail(ERR_IO, "on %s, after step %lld: other weights than the %s", host,
                  (long long)g->st->step, a->size > 2 ? "other replicas have" : "first replica has");
    mem_free(all);
    return axis_agree(world, rc);
}

int guard_seal(struct guard *g)
{
    #pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < g->count; i++)
        g->seal[i] = hash_bytes(g->region[i].data, g->region[i].bytes);
    g->sealed = 1;
    return compare_replicas(g);
}

int guard_verify(struct guard *g)
{
    char host[256] = "";
    int bad = g->count;

    if (!g->sealed) return OK;
    g->sealed = 0;
    #pragma omp parallel for schedule(dynamic, 1) reduction(min : bad)
    for (int i = 0; i < g->count; i++)
        if (!hash_equal(g->seal[i], hash_bytes(g->region[i].data, g->region[i].bytes)) && i < bad)
            bad = i;
    if (bad == g->count) return axis_agree(&g->st->grid->world, OK);
    gethostname(host, sizeof host - 1);
    const struct region *r = &g->region[bad];
    return axis_agree(&g->st->grid->world,
                      fail(ERR_IO, "faulty memory on %s: in step %lld the %s of %s changed by "
                           "themselves", host, (long long)g->st->step + 1, r->of,
                           g->st->model->params.p[r->param].name));
}
