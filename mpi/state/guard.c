/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/state/guard.h"

#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/tile.h"

struct guard {
    const struct train_state *st;
    struct tensor *tensors;  /* of the state                                     */
    struct place  *places;   /* (count) tiles in our memory, weights first       */
    struct hash   *seal;     /* (count)                                          */
    int64_t        count, weights;
    int            sealed;
};

struct guard *guard_new(const struct train_state *st)
{
    struct guard *g = mem_new(1, sizeof *g, "guard");
    int n;

    *g = (struct guard){ .st = st };
    g->tensors = train_state_tensors(st, &n);
    g->places = train_state_places(st, 1, &g->count);
    g->seal = mem_new(g->count, sizeof *g->seal, "guard");
    while (g->weights < g->count && g->places[g->weights].tensor < st->model->params.count)
        g->weights++;
    return g;
}

void guard_free(struct guard *g)
{
    if (!g) return;
    mem_free(g->tensors);
    mem_free(g->places);
    mem_free(g->seal);
    mem_free(g);
}

static struct hash hash_of(const struct guard *g, int64_t k)
{
    const struct place *p = &g->places[k];
    return hash_bytes(p->raw, (size_t)tile_at(&g->tensors[p->tensor], p->tile).bytes);
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
                  (long long)g->st->step,
                  a->size > 2 ? "other replicas have" : "first replica has");
    mem_free(all);
    return axis_agree(world, rc);
}

int guard_seal(struct guard *g)
{
    #pragma omp parallel for schedule(dynamic, 8)
    for (int64_t k = 0; k < g->count; k++) g->seal[k] = hash_of(g, k);
    g->sealed = 1;
    return compare_replicas(g);
}

int guard_verify(struct guard *g)
{
    char host[256] = "";
    int64_t bad = g->count;

    if (!g->sealed) return OK;
    g->sealed = 0;
    #pragma omp parallel for schedule(dynamic, 8) reduction(min : bad)
    for (int64_t k = 0; k < g->count; k++)
        if (k < bad && !hash_equal(g->seal[k], hash_of(g, k))) bad = k;
    if (bad == g->count) return axis_agree(&g->st->grid->world, OK);
    gethostname(host, sizeof host - 1);
    return axis_agree(&g->st->grid->world,
                      fail(ERR_IO, "faulty memory on %s: in step %lld %s changed by itself", host,
                           (long long)g->st->step + 1,
                           g->tensors[g->places[bad].tensor].name));
}

void guard_reset(struct guard *g) { g->sealed = 0; }
