/* budget.h -- bytes of a training process, from shapes alone.
 *
 * `ttt config show` prints it before anything runs; the trainer prints it
 * beside the peak that was measured.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdint.h>

#include "src/layers/dims.h"
#include "src/model/pass.h"
#include "src/param/factor.h"
#include "src/param/grad.h"
#include "src/plan/share.h"

struct budget {
    int64_t n_params;                      /* elements, without padding            */
    int64_t params, grads, moments;        /* bytes                                */
    int64_t tape, logits, scratch;         /* bytes of a pass (pass_plan)          */
    int64_t state;                         /* of them, bytes of weights and moments    */
    int64_t snapshot;                      /* bytes of the copy that a save takes  */
    int64_t evaluation;                    /* bytes of one                         */
    int64_t total;
};

/* returns OK, or ERR_CONFIG as model_layout() and pass_plan() say it */
int budget_plan(struct budget *b, const struct dims *d, const struct pass_opts *o,
                enum reduction mode);

/* The optimizer is SOAP: what rank `rank` of a grid has instead of two moments, with so many
 * threads.  Once, before budget_snapshot(). */
void budget_soap(struct budget *b, const struct dims *d, const struct factor_opts *o,
                 const struct grid_shape *g, int rank, int threads);

/* A process that saves in the background holds a copy of this many bytes. */
void budget_snapshot(struct budget *b, int64_t bytes);

/* It evaluates with this many bytes more. */
void budget_evaluation(struct budget *b, int64_t bytes);

/* Of a machine with so much memory, what processes may take together and still copy their state for
 * saves: the rest is for the system and for files that are written. */
int64_t budget_room(int64_t memory);

/* A table for people, one "  name   size" a line, the sum last.  A counted string. */
char *budget_text(const struct budget *b);

#endif
