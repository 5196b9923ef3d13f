/* pass.h -- forward and backward of a micro-batch: loss and gradients.
 *
 *   for s in slices:   for l in layers:  forward   (tape kept, or block inputs only)
 *   for s in reversed: for l in reversed: backward (block recomputed if not on tape)
 *
 * The unit of work is one slice of one sequence.  Its products have the shape
 * of the unit whatever the micro-batch, and its parameter gradients go to a
 * struct grad one unit at a time, so that with exact reduction nothing depends
 * on how sequences are grouped.
 */
#ifndef PASS_H
#define PASS_H

#include <stdint.h>

#include "src/base/fixed.h"
#include "src/base/real.h"
#include "src/model/model.h"
#include "src/param/grad.h"
#include "src/plan/share.h"

enum remat { REMAT_NONE, REMAT_BLOCK };

struct pass_opts {
    int        context;       /* tokens of a sequence (inputs; windows have one more) */
    int        slice_tokens;  /* a multiple of K, or >= context                       */
    int        micro_batch;   /* B: sequences at once                                 */
    int        inner_group;   /* mini-batches between kept inner states               */
    enum remat remat;
    enum sequence_mode sequence_mode;  /* on several ranks along S                    */
    int        mask_token;    /* targets with this id are not scored; -1: none        */
    int        bf16;          /* plans only: the model will be told model_use_bf16()  */
    int        bf16_moments;  /* plans only: the optimizer's state is of half the size */
};

/* What a caller may look at while a pass runs, sequence by sequence.  Either may be NULL. */
struct pass_tap {
    void *ctx;
    /* Losses of n targets behind tokens position .. position + n - 1; 0 where target < 0: it is
     * not scored. */
    void (*nll)(void *ctx, int64_t sequence, int64_t position, const double *nll,
                const int32_t *target, int n);
    /* Inner losses (H,n,3) of n mini-batches of layer l, the first at `position`: at the initial
     * state, before and after the step; sums over tokens. */
    void (*inner)(void *ctx, int l, int64_t sequence, int64_t position, const double *stats,
                  int n);
};

/* What a pass adds up beside gradients. */
struct pass_sums {
    struct fixed loss;      /* sum over sequences of their mean NLL, nats      */
    int64_t      sequences;
    int64_t      targets;   /* scored                                          */
    int          bad;       /* a loss was not finite                           */
    /* Inner losses: sums over sequences of the mean over heads, tokens; (L) each, with
     * count of sequences; NULL: not wanted.  Caller's memory. */
    struct fixed *inner_w0, *inner_before, *inner_after;
    const struct pass_tap *tap;   /* NULL: nobody looks */
};

struct pass;

/* Bytes a pass will allocate: what `ttt config show` prints. */
struct pass_bytes { int64_t tape, logits, scratch; };
int pass_plan(struct pass_bytes *bytes, const struct dims *d, const struct pass_opts *o);

struct pass *pass_new(const struct model *m, const struct pass_opts *o);
void pass_free(struct pass *p);

/* Units per sequence: ceil(context / slice_tokens). */
int pass_units(const struct pass_opts *o);

/* Read B <= micro_batch windows (B, context + 1) forward and backward.
 * Gradients of  units_per_sequence * (mean NLL of a sequence)  are added to g
 * unit by unit: their mean over all units of a step is the gradient of the
 * mean over its sequences.  g may be NULL: forward only. */
void pass_run(struct pass *p, struct grad *g, struct pass_sums *sums, const int32_t *windows,
              int B);

#endif
