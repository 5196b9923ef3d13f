/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h -- the bytes of every rank of a run, from shapes alone, before anything is allocated.
 *
 *   weights      of the layers that the rank holds, with their bf16 operands
 *   gradients    of the same layers, 8 bytes an element in exact mode
 *   sums         what arrives from other ranks while gradients are added up
 *   moments      of the elements that the rank owns; SOAP: with factors and bases
 *   tape         activations kept for the backward pass, of all micro-batches in flight
 *   logits       logits, their gradient and the head's scratch
 *   scratch      of layers and of SOAP
 *   evaluation   a forward-only pass next to the one of training: over data.val, or over the probe
 *                that goes into checkpoints (mpi/train/canary.h), whichever is larger
 *   snapshot     the copies of the state that a save works on (mpi/save/saver.h)
 *   messages     buffers of MPI
 *   program      code, libraries, threads, lists and small arrays
 *
 * The trainer, `ttt plan`, `ttt launch` and `ttt config show` all ask here, so that they say the
 * same.  The first nine are what the program touches of what it allocates: with pipeline stages the arrays of
 * weights and gradients have room for the whole model, of which a rank touches what it holds.  Messages
 * and program were measured (memory.c).
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "src/forecast/run_shape.h"
#include "src/model/model.h"
#include "src/model/soap_plan.h"
#include "src/model/stage.h"

enum memory_line {
    MEMORY_WEIGHTS, MEMORY_GRADIENTS, MEMORY_SUMS, MEMORY_MOMENTS, MEMORY_TAPE, MEMORY_LOGITS,
    MEMORY_SCRATCH, MEMORY_EVALUATION, MEMORY_SNAPSHOT, MEMORY_MESSAGES, MEMORY_PROGRAM,
    MEMORY_LINES
};

/* Bytes of one rank. */
struct memory {
    int64_t line[MEMORY_LINES];
    int64_t total;       /* of all lines                                                        */
    int64_t allocated;   /* of them, what the program asks for itself: all except the last two    */
    int64_t state;       /* weights and moments that the rank owns: what it saves               */
    int64_t own_copy;    /* of the snapshot, what a save leaves out where memory is short       */
};

/* A stage that was laid out before: few of a run's stages differ. */
struct stage_bytes { struct stage_part part; struct pass_opts pass; struct pass_bytes bytes; };

/* A run, and the grid that it is predicted for. */
struct memory_plan {
    struct run_shape    run;
    struct model       *shape;      /* owned; without weights                                   */
    struct step_shape   work;
    struct grid_shape   grid;       /* set by memory_plan_grid(), as what follows                */
    int64_t           **cut;        /* (L + 2) bucket_cut() of every bucket; owned              */
    int64_t            *longest;    /* (L + 2) the longest run of an owner; owned               */
    int64_t            *cuts;       /* what cut points to; owned                                */
    struct soap_plan    soap;       /* owned                                                    */
    struct stage_bytes *known;      /* (n_known); owned                                         */
    int                 n_known, room;
};

/* Everything except the grid.  Local.
 *
 * returns  OK; ERR_CONFIG if the model or the work of a step is not possible: reported */
int memory_plan_init(struct memory_plan *p, const struct run_shape *run);
void memory_plan_done(struct memory_plan *p);

/* Choose the grid; may be called again for another one.  Local.
 *
 * returns  OK; ERR_CONFIG as share_check() reports it */
int memory_plan_grid(struct memory_plan *p, const struct grid_shape *g);

/* The bytes of rank `rank` of the grid, with the threads that OpenMP has now.  Local. */
void memory_of(struct memory *m, struct memory_plan *p, int rank);

/* The bytes of the rank that needs most; returns which one that is.  Local. */
int memory_most(struct memory *m, struct memory_plan *p);

/* Saves read the state where it is: there is no own copy.  Local. */
void memory_in_place(struct memory *m);

/* Of a machine with so much memory, what processes may take together and still copy their state for
 * saves: the rest is for the system and for files that are written. */
int64_t memory_room(int64_t machine);

/* "weights", ... */
const char *memory_name(enum memory_line line);

/* A table for people, one "  name   size" a line, the sum last; n_params: elements of the whole
 * model.  A counted string. */
char *memory_text(const struct memory *m, int64_t n_params);

#endif
