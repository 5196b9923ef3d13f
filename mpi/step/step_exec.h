/* SPDX-License-Identifier: Apache-2.0 */
/* step_exec.h -- executes a step plan: the operations of one training step of one rank.
 *
 * The plan (plan/step_plan.h) has decided who computes and sends what, and in which order.  Here
 * every operation becomes one call:
 *
 *     BEGIN      a micro-batch takes a slot.  Sends from its arrays are waited for, and receives
 *                for everything that will come are posted, straight into its arrays
 *     compute    a function of model/stage.h
 *     SEND       a non-blocking send, straight from the arrays of the slot
 *     RECV       a wait for the receive that BEGIN posted: by then it should be there
 *     REDUCE     a bucket of gradients is complete; its reduction starts and runs next to the rest
 *
 * Nothing is copied between a message and the arithmetic: what crosses of a carry is an MPI type
 * that describes where it lies.  Nothing waits in a circle, because neighbours' plans have their
 * operations in matching order (a test executes thousands of them).  Open MPI moves data only
 * inside its calls, so poke(), which kernels call between pieces of work, lets it look for
 * messages.  One thread calls MPI.  In heads and scan mode a layer of all units is one operation,
 * and its messages are those of mpi/step/seq_heads.h and seq_scan.h.
 */
#ifndef STEP_EXEC_H
#define STEP_EXEC_H

#include "mpi/grid/grid.h"
#include "src/model/stage.h"
#include "src/plan/step_plan.h"

struct reducer;
struct trace;

struct step_exec;

/* Logically collective on the grid; model, o and sequences must agree.  Everything is borrowed and
 * must outlive it.  context, slice_tokens etc. of o give the units; the plan is made from grid,
 * opts and `sequences` of a step. */
struct step_exec *step_exec_new(const struct grid *g, const struct model *m,
                                const struct pass_opts *o, int64_t sequences);

/* The same for runs that are forward only, as evaluation is: one slot, no tapes.  Logically
 * collective on the grid. */
struct step_exec *step_exec_forward(const struct grid *g, const struct model *m,
                                    const struct pass_opts *o, int64_t sequences);

/* Collective on the grid: all messages of it must have been received. */
void step_exec_free(struct step_exec *e);

/* The rank's share of the work; its stage with what the slots hold, for probes.  Local;
 * borrowed. */
const struct share *step_exec_share(const struct step_exec *e);
struct stage *step_exec_stage(const struct step_exec *e);

/* Bytes sent along S and P by this rank since the start.  In heads mode, carries are the halos of
 * convolutions, and heads are the exchanges around the inner loops.  Local. */
struct exec_bytes { int64_t carries, heads, activations; };
struct exec_bytes step_exec_bytes(const struct step_exec *e);

/* Receives of this rank since the start, those that were complete when they were needed, and the
 * seconds that it waited for the others.  Local. */
struct exec_waits { int64_t receives, there; double seconds; };
struct exec_waits step_exec_waits(const struct step_exec *e);

/* stage_inner_factor() of the runs to come.  Local; must agree. */
void step_exec_inner_factor(struct step_exec *e, double factor);

/* Where something first was not finite, for the report of a bad step. */
struct watch {
    int  place;       /* residual stream after block place - 1; INT_MAX: nowhere, so far      */
    int *sequences;   /* (q1 - q0) set to 1 for those that were hit                           */
};

/* Look at every residual stream of forward-only runs from now on; NULL: no more.  Local. */
void step_exec_watch(struct step_exec *e, struct watch *w);

/* One step.
 *
 * Collective on the grid.
 *
 * windows  [in]  tokens of our units and one more, of our sequences q0..q1: sequence q at
 *                windows + (q - q0) * stride; NULL on stages that need none
 * valid    [in]  (q1 - q0) scored targets of each whole sequence
 * g        gradient sums, or NULL: forward only
 * red      gradients are handed to it bucket by bucket; NULL if g is
 * sums     [in,out] this rank's part
 * trace    NULL, or where operations are noted */
void step_exec_run(struct step_exec *e, const int32_t *windows, int64_t stride,
                   const int64_t *valid, struct grad *g, struct reducer *red,
                   struct pass_sums *sums, struct trace *trace);

#endif
