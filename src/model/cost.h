/* cost.h -- seconds, bytes and memory of a training step on a grid, from shapes and the rates
 * of a machine, before anything runs.
 *
 *   operation        seconds, of one sequence and a unit of T tokens
 *   FORWARD          T flops / (gflops forward)                                 flops: products of
 *   BACKWARD         2 T flops / (gflops backward) + gradient sums of a layer   one token, forward
 *                    (+ FORWARD where blocks are computed twice)
 *                    of a layer with a past: more for tokens further on
 *   HEAD             3 T flops / (gflops head) + gradient sums of the head every unit or HEAD_ROWS
 *   the others       bytes / memory rate
 *
 * Gradient sums are read and written at the memory rate, 8 bytes an element in exact mode, and so
 * is everything after them; that part does not shrink with the unit.
 */
#ifndef COST_H
#define COST_H

#include "src/model/soap_plan.h"
#include "src/model/stage.h"
#include "src/param/grad.h"
#include "src/plan/step_sim.h"

/* A machine, as a rank sees it while all ranks of its node work. */
struct rates {
    struct { int ranks; double memory_gib; } node;
    struct { int threads; double fp32_gflops, memory_gbytes; } rank;
    struct { double forward, backward, head; } share;    /* of fp32_gflops, reached by a model */
    struct { double within_us, within_gbytes, between_us, between_gbytes; } network;
};

/* Bytes of a stage that was laid out before. */
struct stage_bytes { struct stage_part part; struct pass_bytes bytes; };

struct cost {
    struct model       *shape;         /* owned; no weights                  */
    struct pass_opts    o;
    enum reduction      mode;
    struct factor_opts  soap;          /* every 0: AdamW                     */
    struct soap_plan    soap_plan;     /* of the grid; owned                 */
    double              flops;         /* a rank's, a second                 */
    int                 threads;
    int                 writers, background;  /* of checkpoints; 0 writers: none are written */
    int64_t             evaluation;    /* bytes that one rank alone evaluates with, 0: it does not;
                                        * several use what a step does       */
    struct sim_input    in;            /* for step_sim(), once a grid is set */
    int64_t            *cuts;          /* owned; what in.cut points to       */
    struct stage_bytes *known;         /* owned; (n_known)                   */
    int                 n_known, room;
};

/* Everything but the grid.  returns OK or ERR_CONFIG as the model says it */
int cost_init(struct cost *c, const struct dims *d, const struct pass_opts *o,
              enum reduction mode, int64_t sequences, const struct rates *r);
void cost_done(struct cost *c);

/* The optimizer is SOAP.  Before cost_grid(). */
void cost_soap(struct cost *c, const struct factor_opts *o);

/* The grid.  returns OK or ERR_CONFIG as share_check() says it */
int cost_grid(struct cost *c, const struct grid_shape *g);

/* Forward FLOPs of a token in products: of a layer, mean over a context; of the head. */
double cost_layer_flops(const struct model *m, int context);
double cost_head_flops(const struct model *m);

/* Seconds of reading and writing gradient sums: of a unit in one layer, of a token of a unit of T
 * in the head. */
double cost_layer_sums(const struct model *m, enum reduction mode, double bytes_per_s);
double cost_head_sums(const struct model *m, enum reduction mode, int T, double bytes_per_s);

/* Bytes of rank `rank` of those in k, as step_sim() left them.  Libraries and buffers of MPI come
 * on top. */
struct cost_bytes {
    int64_t weights, gradients, sums, moments;  /* sums: runs of others, as they come */
    int64_t tape, logits, scratch;
    int64_t snapshot;                           /* what a save copies, as mpi/save/saver.h does */
    int64_t own_copy;                           /* of it, what it does without for lack of room */
    int64_t evaluation;
    int64_t total;
};
void cost_memory(struct cost_bytes *b, struct cost *c, const struct sim_rank *k, int rank);

#endif
