/* SPDX-License-Identifier: Apache-2.0 */
/* run_shape.h -- what of a configuration decides about the time and the memory of a run. */
#ifndef RUN_SHAPE_H
#define RUN_SHAPE_H

#include <stdint.h>

#include "src/layers/dims.h"
#include "src/model/pass.h"
#include "src/param/factor.h"
#include "src/param/grad.h"

struct conf;

struct run_shape {
    struct dims        dims;
    struct pass_opts   pass;
    enum reduction     reduction;
    int64_t            sequences;    /* of a step                                          */
    struct factor_opts soap;         /* every 0: AdamW                                     */
    int                writers;      /* files of a checkpoint; 0: none is written          */
    int                background;   /* 0/1 a save works on a copy of the state            */
    int                evaluates;    /* 0/1 data.val is read                               */
    int64_t            eval_tokens;  /* targets of an evaluation, at most; 0: all          */
    int                eval_context;
};

/* The run that a configuration describes.  Local. */
void run_shape_of(struct run_shape *r, const struct conf *c);

#endif
