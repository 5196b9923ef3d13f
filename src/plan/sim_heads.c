/* SPDX-License-Identifier: Apache-2.0 */
/* Heads mode in the simulator: operations of all ranks of a sequence. */
#include <math.h>

#include "src/base/part.h"
#include "src/base/status.h"
#include "src/plan/sim_state.h"

/* What a rank computes of a layer: its own units, and of pairs of tokens its share of heads. */
static double own_units_s(const struct sim *z, int rank, const struct op *op)
{
    const struct sim_input *in = z->in;
    const struct share *a = &z->r[rank].plan.share;
    const int kind = op->kind == OP_FORWARD_SEQ ? OP_FORWARD : OP_BACKWARD;
    struct sim_cost own = sim_layer_of(in, op)->seconds[kind], all = { .pair = own.pair };
    const int heads = sim_layer_of(in, op)->exchange.heads;
    double s = 0, pairs = 0;

    own.pair = 0;
    for (struct op unit = { .m = op->m, .u = a->u0 }; unit.u < a->u1; unit.u++)
        s += sim_cost_of(in, a, &unit, &own);
    for (struct op unit = { .m = op->m }; all.pair > 0 && unit.u < in->work.U; unit.u++)
        pairs += sim_cost_of(in, a, &unit, &all);
    return s + pairs * (double)(part_begin(heads, in->grid.S, a->s + 1) -
                                part_begin(heads, in->grid.S, a->s)) / (heads ? heads : 1);
}

/* Count what a rank sends to the others of its sequence; returns the seconds that takes. */
static double exchange_s(struct sim *z, int rank, const struct op *op)
{
    const struct sim_input *in = z->in;
    const struct grid_shape *g = &in->grid;
    const struct sim_cost one = { .unit = 1 };
    const struct exchange *x = &sim_layer_of(in, op)->exchange;
    const int s = rank % g->S, first = rank - s, backward = op->kind == OP_BACKWARD_SEQ;
    const int sharing = in->ranks_per_node < z->ranks ? in->ranks_per_node : z->ranks;
    const double B = sim_cost_of(in, &z->r[rank].plan.share, op, &one);
    const int tokens = chunk_tokens(g, &in->work, in->context, in->unit_tokens, s);
    double seconds = 0;

    for (int t = 0; t < g->S; t++) {
        const int far = sim_node(in, rank) != sim_node(in, first + t);
        const struct sim_link *link = far ? &in->between : &in->within;
        const int theirs = chunk_tokens(g, &in->work, in->context, in->unit_tokens, t);
        const double halo = B * exchange_halo(x, s, t, backward);
        const double heads = B * exchange_bytes(x, g, s, tokens, t, theirs, backward);
        z->out->rank[rank].bytes[SIM_CARRIES][far] += llround(halo);
        z->out->rank[rank].bytes[SIM_HEADS][far] += llround(heads);
        seconds += (halo + heads) / link->bytes_per_s * (far ? sharing : 1);
        if (t == (s ? 0 : g->S - 1)) seconds += 2 * link->latency_s;  /* there and back */
    }
    return seconds;
}

int sim_meet(struct sim *z, int rank, const struct op *op)
{
    const int S = z->in->grid.S, first = rank - rank % S;
    struct meeting *t = &z->meetings[rank / S];
    struct runner *r = &z->r[rank];
    const double own = own_units_s(z, rank, op);
    double slowest = 0;

    if (r->now > t->begin_s) t->begin_s = r->now;
    if (own > t->compute_s) t->compute_s = own;
    r->waiting = FOR_OTHERS;
    if (++t->come < S) return 0;
    for (int i = first; i < first + S; i++) {
        const double s = exchange_s(z, i, op);
        if (s > slowest) slowest = s;
    }
    const double end = t->begin_s + t->compute_s + slowest;
    for (int i = first; i < first + S; i++) {
        struct runner *o = &z->r[i];
        const struct op *same = &o->plan.ops[o->pc];
        check(same->kind == op->kind && same->m == op->m && same->l == op->l);
        sim_note(z, i, same, o->now, end);
        z->out->rank[i].busy_s += own_units_s(z, i, op);
        o->now = end;
        o->waiting = NOT;
        if (i == rank) continue;
        o->pc++;
        z->ready[z->n_ready++] = i;
    }
    *t = (struct meeting){ 0 };
    return 1;
}
