/* SPDX-License-Identifier: Apache-2.0 */
/* sim_state.h -- what the parts of the simulator share (step_sim.c, sim_heads.c). */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "src/plan/step_sim.h"

/* Messages of one kind on their way to a rank: both sides handle them in the same order. */
struct queue { struct letter { double at; int tag; } *v; int first, count, room; };

/* Why a rank is not in the list of ready ones. */
enum waiting { NOT, FOR_MESSAGE, FOR_OTHERS };

struct runner {
    struct step_plan plan;
    int              pc;
    enum waiting     waiting;
    double           now, wire;       /* wire: when the last message has left                    */
    double           net;             /* when our last sum has ended                             */
    struct queue     in[OP_KINDS];    /* by kind of receive                                      */
};

/* A bucket while ranks come to its OP_REDUCE. */
struct sum { int begun; double begin_s; };

/* The ranks of a sequence while they come to an operation of all of them. */
struct meeting { int come; double begin_s, compute_s; };

struct sim {
    const struct sim_input *in;
    struct sim_result      *out;
    struct sim_events      *events;
    int                     ranks;
    struct runner          *r;
    struct sum             *sums;     /* (L + 2)                   */
    struct meeting         *meetings; /* (D P)                     */
    int                    *ready, n_ready;
};

void sim_note(struct sim *z, int rank, const struct op *op, double begin_s, double end_s);

/* Sequences times the cost of one, for the unit (if any) of an operation. */
double sim_cost_of(const struct sim_input *in, const struct share *a, const struct op *op,
                   const struct sim_cost *c);

/* The costs that an operation has: those of its layer, or of all. */
const struct sim_layer *sim_layer_of(const struct sim_input *in, const struct op *op);

int sim_node(const struct sim_input *in, int rank);

/* This rank comes to an operation in heads mode.
 * returns 0 while others are missing; the last to come moves all of them on */
int sim_meet(struct sim *z, int rank, const struct op *op);

#endif
