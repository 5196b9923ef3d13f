/* SPDX-License-Identifier: Apache-2.0 */
/* pass_opts.h -- how micro-batches are computed, what is added up, and who looks on: for a pass in
 * one process (pass.h) and for a stage of a grid (stage.h).
 */
#ifndef PASS_OPTS_H
#define PASS_OPTS_H

#include <stdint.h>

#include "src/base/fixed.h"
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
    /* Losses of n targets, those after tokens position .. position + n - 1; 0 where target < 0,
     * which is not scored. */
    void (*nll)(void *ctx, int64_t sequence, int64_t position, const double *nll,
                const int32_t *target, int n);
    /* Inner losses (H,n,3) of n mini-batches of layer l, the first at `position`: at the initial
     * state, before and after the step; sums over tokens. */
    void (*inner)(void *ctx, int l, int64_t sequence, int64_t position, const double *stats,
                  int n);
};

/* What a pass adds up in addition to gradients. */
struct pass_sums {
    struct fixed loss;      /* sum over sequences of their mean NLL, nats      */
    int64_t      sequences;
    int64_t      targets;   /* scored                                          */
    int          bad;       /* a loss was not finite                           */
    /* Inner losses: sums over sequences of the mean over heads and tokens; (L) each, owned by the
     * caller; NULL: not wanted.  A block without an inner loop adds nothing. */
    struct fixed *inner_w0, *inner_before, *inner_after;
    const struct pass_tap *tap;   /* NULL: nobody looks */
};

/* Bytes of memory: from forward to backward, logits, scratch. */
struct pass_bytes { int64_t tape, logits, scratch; };

/* Units per sequence: ceil(context / slice_tokens).  Local. */
static inline int pass_units(const struct pass_opts *o)
{
    return (o->context + o->slice_tokens - 1) / o->slice_tokens;
}

#endif
