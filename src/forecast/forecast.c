/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/forecast.h"

#include <stdlib.h>

#include "src/base/mem.h"
#include "src/base/status.h"

int forecast_cost(struct cost *cost, const struct conf *c, const struct rates *r)
{
    struct run_shape run;

    run_shape_of(&run, c);
    return cost_init(cost, &run, r);
}

/* With copies for saves, or without. */
static void add_memory(struct forecast *f, struct cost *c, const struct rates *r, int in_place)
{
    const int per_node = r->node.ranks;
    int64_t node = 0;

    f->in_place = in_place;
    f->node_bytes = f->most.total = 0;
    for (int i = 0; i < f->sim.ranks; i++) {
        struct memory m;
        memory_of(&m, &c->memory, i);
        if (in_place) memory_in_place(&m);
        if (m.total > f->most.total) {
            f->most = m;
            f->most_rank = i;
        }
        node = i % per_node ? node + m.total : m.total;
        if (node > f->node_bytes) f->node_bytes = node;
    }
    f->nodes = (f->sim.ranks + per_node - 1) / per_node;
    f->fits = (double)f->node_bytes <= r->node.memory_gib * 0x1p30;
}

int forecast_init(struct forecast *f, struct cost *c, const struct grid_shape *g,
                  const struct rates *r, int events)
{
    *f = (struct forecast){ .grid = *g };
    const int rc = cost_grid(c, g);
    if (rc != OK) return rc;
    step_sim(&f->sim, &c->in, events ? &f->events : NULL);
    f->tok_per_s = (double)c->in.work.sequences * c->in.context / f->sim.step_s;
    add_memory(f, c, r, 0);
    const int64_t room = memory_room((int64_t)(r->node.memory_gib * 0x1p30));
    if (f->node_bytes > room && c->memory.run.background) add_memory(f, c, r, 1);
    return OK;
}

void forecast_done(struct forecast *f)
{
    sim_result_done(&f->sim);
    mem_free(f->events.e);
    *f = (struct forecast){ .nodes = 0 };
}

static int better(const void *x, const void *y)
{
    const struct forecast *a = x, *b = y;
    if (a->fits != b->fits) return b->fits - a->fits;
    if (!a->fits) return (a->node_bytes > b->node_bytes) - (a->node_bytes < b->node_bytes);
    return (a->sim.step_s > b->sim.step_s) - (a->sim.step_s < b->sim.step_s);
}

int forecast_all(struct forecast **list, int *count, struct cost *c, int ranks,
                 const struct rates *r)
{
    const struct step_shape *w = &c->in.work;
    int room = 0, n = 0;

    *list = NULL;
    for (int P = 1; P <= w->L; P++)
        for (int S = 1; S <= w->U; S++) {
            if ((int64_t)P * S > ranks || ranks % (P * S)) continue;
            const struct grid_shape g = { ranks / (P * S), P, S };
            if (g.D > w->sequences) continue;  /* idle replicas */
            if (n == room) {
                room = 2 * room + 16;
                *list = mem_resize(*list, room, sizeof **list, "grids");
            }
            check(forecast_init(&(*list)[n++], c, &g, r, 0) == OK);
        }
    *count = n;
    if (!n)
        return fail(ERR_CONFIG, "%d ranks: no grid gives all of them work; a step has %d "
                    "sequences of %d units, the model %d layers", ranks, w->sequences, w->U, w->L);
    qsort(*list, (size_t)n, sizeof **list, better);
    return OK;
}

int forecast_ranks(const struct cost *c, int ranks)
{
    const struct step_shape *w = &c->in.work;
    int most = 1;

    for (int P = 1; P <= w->L && P <= ranks; P++)
        for (int S = 1; S <= w->U && S <= ranks / P; S++) {
            const int D = ranks / (P * S) < w->sequences ? ranks / (P * S) : w->sequences;
            if (D * P * S > most) most = D * P * S;
        }
    return most;
}

void forecasts_free(struct forecast *list, int count)
{
    for (int i = 0; i < count; i++) forecast_done(&list[i]);
    mem_free(list);
}
