/* SPDX-License-Identifier: Apache-2.0 */
/* step_plan.h -- the operations of one training step of one rank, in order.
 *
 * A pure function of (grid, work, rank).  Three readers: the trainer executes the list, a
 * simulator predicts its time and memory, a test executes it symbolically on thousands of
 * grids.
 *
 * Forward of a micro-batch, layer by layer, so that the next rank along S can start a layer
 * as soon as its carry is there (the wavefront):
 *
 *     s = 0   l0 u0 u1 | l1 u0 u1 | l2 u0 u1 |
 *                  \carry    \carry     \carry
 *     s = 1            | l0 u2 u3 | l1 u2 u3 | ...
 *
 * Backward is the same in reverse.  Micro-batches follow one-forward-one-backward: rank (p, s)
 * runs `warm` of them forward before its first backward,
 *     warm = P - p + S - 1 - s,
 * which never grows along p or s, and that is why nothing can wait in a circle.  It falls by one
 * from neighbour to neighbour, so that of two neighbours one goes forward while the other goes
 * backward and neither waits: then the wavefront has its efficiency M L / (M L + S - 1), and as
 * in a pipeline the first rank keeps the tapes of about one whole sequence.
 *
 * In heads and scan mode the S ranks of a sequence work on the same layer: it is one operation of
 * all of them, for all their units, with the exchanges in it.  No carry crosses, and warm does not
 * depend on s:
 *     warm = P - p.
 */
#ifndef STEP_PLAN_H
#define STEP_PLAN_H

#include "src/plan/share.h"

enum op_kind {
    OP_BEGIN,           /* micro-batch m takes `slot`; its receives may be posted      */
    OP_START,           /* initial carries of our layers             (s = 0)           */
    OP_EMBED,           /* unit u -> x[l0]                           (p = 0)           */
    OP_RECV_X,          /* unit u, x[l0] from stage p - 1                              */
    OP_RECV_CARRY,      /* layer l, from rank s - 1                                    */
    OP_FORWARD,         /* layer l of unit u                                           */
    OP_SEND_CARRY,      /* layer l, to rank s + 1                                      */
    OP_SEND_X,          /* unit u, x[l1] to stage p + 1                                */
    OP_HEAD,            /* loss of unit u and its gradient           (p = P - 1)       */
    OP_RECV_DX,         /* unit u, from stage p + 1                                    */
    OP_RECV_DCARRY,     /* layer l, from rank s + 1                                    */
    OP_BACKWARD,        /* layer l of unit u                                           */
    OP_SEND_DCARRY,     /* layer l, to rank s - 1                                      */
    OP_SEND_DX,         /* unit u, to stage p - 1                                      */
    OP_EMBED_BACKWARD,  /* unit u                                    (p = 0)           */
    OP_START_BACKWARD,  /* layer l: gradient of the initial carry    (s = 0)           */
    OP_FORWARD_SEQ,     /* layer l of all our units, with all ranks along S            */
    OP_BACKWARD_SEQ,
    OP_REDUCE,          /* bucket l's gradient is complete here: start adding it up    */
    OP_KINDS
};

/* Buckets of OP_REDUCE in addition to layers 0..L-1. */
#define BUCKET_HEAD(L)  (L)        /* final norm, and an untied head   */
#define BUCKET_EMBED(L) ((L) + 1)  /* embedding, which a tied head shares */

struct op {
    short kind;   /* enum op_kind                      */
    short slot;   /* of micro-batch m; -1 for REDUCE   */
    int   m;      /* micro-batch; -1 for REDUCE        */
    int   l, u;   /* layer (bucket), unit; -1: none    */
    int   peer;   /* rank on the other side; -1: none  */
};

#define STEP_OPERATIONS 1e7  /* forward, of all ranks, at most: some 100 bytes each */

struct step_plan {
    struct share share;
    int          slots;   /* micro-batches in flight, at least 1 */
    int          count;
    struct op   *ops;     /* owned */
};

/* `tied`: the embedding's gradient also comes from the head, so its bucket is reduced on the
 * last stage too. */
void step_plan_init(struct step_plan *plan, const struct grid_shape *g,
                    const struct step_shape *w, int tied, int rank);

/* Forward only, up to the loss: evaluation.  One slot is enough, because sends of a micro-batch go
 * to ranks that wait for nothing but it. */
void step_plan_forward(struct step_plan *plan, const struct grid_shape *g,
                       const struct step_shape *w, int rank);
void step_plan_done(struct step_plan *plan);

/* The micro-batches that a rank with share `a` has in flight, at least 1: slots of its plan,
 * without making it. */
int step_slots(const struct grid_shape *g, const struct step_shape *w, const struct share *a);

/* How many ranks hold bucket b, when we do; *place: ours among them, in the order of ranks.
 * 0: we do not hold it.  A tied embedding is held by first and last stage. */
int bucket_holders(const struct grid_shape *g, int L, int tied, int b, const struct share *a,
                   int *place);

/* "FORWARD", ...; which way something crosses. */
const char *op_name(int kind);
int op_is_send(int kind);
int op_is_recv(int kind);

/* Does it take all ranks along S?  They issue such operations in the same order. */
int op_is_seq(int kind);

/* The kind of receive that a send meets. */
int op_partner(int kind);

/* Matches a send with its receive on the peer: unique for (kind of thing, m, l or u) within a
 * step, the same on both sides; 0 <= tag < 4 M max(L, U). */
int op_tag(const struct op *op, const struct step_shape *w);

#endif
