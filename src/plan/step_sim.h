/* SPDX-License-Identifier: Apache-2.0 */
/* step_sim.h -- what a step would take: the lists of step_plan under a clock.
 *
 *   rank 0  | CLEAR | F F F | send ............| B B B |      wait     | NORM | UPDATE | GATHER |
 *   network                  \carry/            [ SUM ][ SUM ][ SUM ]
 *   rank 1  | CLEAR |   wait   | F F F | B B B |
 *
 * The operations are those that the trainer executes, of all ranks; only their seconds are given.
 *   - Computing takes  B (unit + token T + pair T (t + (T+1)/2))  seconds for B sequences and a
 *     unit of T tokens with t before it.
 *   - A send costs its rank nothing.  Messages leave a rank one after another; a message is there
 *     latency + bytes / bandwidth after it left, and is received when the receiver comes to it.
 *   - A bucket is summed in a ring over the n ranks that hold it, while they compute.  It starts
 *   when
 *     the last of them begins it, and takes (n-1) latency + (n-1)/n bytes / bandwidth of the
 *     slowest link.  Sums of one rank follow each other.  The additions are work of the rank, at
 *     OP_REDUCE.
 *   - After the list: wait for sums, part of the gradient norm, one all-reduce over all ranks,
 *     update of the own share, weights gathered bucket by bucket in rings.
 *   - A layer in heads mode begins when the last rank of the sequence comes to it and takes what
 *     the slowest computes for its own units, then the exchange; in truth they overlap.
 * Ranks fill nodes in order.  A ring crosses from node to node once, and rings of other stages
 * share the node's link with it, as all ranks of a node do in an exchange of heads; messages
 * between single ranks are not slowed by others.
 */
#ifndef STEP_SIM_H
#define STEP_SIM_H

#include <stdint.h>

#include "src/plan/exchange.h"
#include "src/plan/step_plan.h"

/* Kinds of events in addition to enum op_kind. */
enum sim_kind { SIM_CLEAR = OP_KINDS, SIM_SUM, SIM_NORM, SIM_UPDATE, SIM_GATHER, SIM_KINDS };

/* What crosses. */
enum sim_cargo { SIM_CARRIES, SIM_HEADS, SIM_ACTIVATIONS, SIM_GRADIENTS, SIM_WEIGHTS, SIM_CARGOES };

/* Of one sequence: once a unit, for each of its tokens, for each pair of a token and one that it
 * can look at (itself, those before it); of a carry: for each token before its boundary. */
struct sim_cost { double unit, token, pair, before; };

/* Costs by enum op_kind; layers may differ. */
struct sim_layer {
    struct sim_cost seconds[OP_KINDS];        /* computing                                  */
    struct sim_cost bytes[OP_KINDS];          /* sends                                      */
    struct exchange exchange;                 /* heads mode                                 */
};

struct sim_link { double latency_s, bytes_per_s; };  /* bytes_per_s may be INFINITY */

struct sim_input {
    struct grid_shape grid;
    struct step_shape work;
    int               tied;
    int               context, unit_tokens;   /* tokens of a sequence, of a unit            */
    struct sim_layer  all;                    /* every operation, of any layer              */
    const struct sim_layer *of;               /* (L) operations of each layer; NULL: `all`  */
    int               ranks_per_node;
    struct sim_link   within, between;        /* nodes                                      */
    int64_t         **cut;                    /* (L + 2): bucket b's elements over its holders,
                                               * (holders + 1) each; model/bucket.h         */
    double            sum_bytes, weight_bytes;      /* of an element                        */
    double            clear_s, add_s, norm_s, update_s;    /* an element                    */
    double           *optim_s;                /* (ranks) more of an update; NULL: nothing   */
};

struct sim_rank {
    double  busy_s;                      /* computing                                       */
    double  pass_s, sums_s, end_s;       /* when forward and backward, sums, all have ended */
    int64_t bytes[SIM_CARGOES][2];       /* sent within the node, to another                */
    int64_t held, own;                   /* elements of its buckets, of its share of them   */
    int     slots;                       /* micro-batches in flight                         */
};

struct sim_result {
    int              ranks;
    double           step_s;
    double           bubble;             /* 1 - computing / (ranks step_s)                  */
    struct sim_rank *rank;               /* owned                                           */
};

struct sim_event { double begin_s, end_s; int rank; struct op op; };
struct sim_events { struct sim_event *e; int64_t count, room; };  /* e: mem_free() */

/* The grid must have passed share_check().  events: those of all ranks are appended; NULL. */
void step_sim(struct sim_result *out, const struct sim_input *in, struct sim_events *events);
void sim_result_done(struct sim_result *r);

const char *sim_name(int kind);  /* "FORWARD", ..., "SUM", ... */

/* Bytes of a cargo that all ranks send, within nodes (0) or between (1). */
int64_t sim_bytes(const struct sim_result *r, int cargo, int between);

#endif
