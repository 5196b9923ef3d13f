/* SPDX-License-Identifier: Apache-2.0 */
#include "src/plan/sim_state.h"

#include "src/base/mem.h"

void sim_note(struct sim *z, int rank, const struct op *op, double begin_s, double end_s)
{
    struct sim_events *t = z->events;
    if (!t) return;
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->e = mem_resize(t->e, t->room, sizeof *t->e, "events");
    }
    t->e[t->count++] = (struct sim_event){ begin_s, end_s, rank, *op };
}

double sim_cost_of(const struct sim_input *in, const struct share *a, const struct op *op,
                   const struct sim_cost *c)
{
    const int left = a->q1 - a->q0 - op->m * in->work.micro_batch;
    const int B = left < in->work.micro_batch ? left : in->work.micro_batch;
    const double begin = (double)op->u * in->unit_tokens, rest = in->context - begin;
    const double T = op->u < 0 ? 0 : rest < in->unit_tokens ? rest : in->unit_tokens;
    /* A carry goes over the end of its chunk, its gradient over the beginning. */
    const double edge = (double)in->unit_tokens * (op->kind == OP_SEND_CARRY ? a->u1 : a->u0);
    return B * (c->unit + c->token * T + c->pair * T * (begin + (T + 1) / 2) + c->before * edge);
}

const struct sim_layer *sim_layer_of(const struct sim_input *in, const struct op *op)
{
    return in->of && op->l >= 0 ? &in->of[op->l] : &in->all;
}

int sim_node(const struct sim_input *in, int rank) { return rank / in->ranks_per_node; }
