/* SPDX-License-Identifier: Apache-2.0 */
/* generate.h -- continue a text token by token.
 *
 *     prompt: slices, dual form  ->  token: a slice of length 1, primal form  -> ...
 *
 * What was read is kept in the carries (fast weights and the inner gradient of
 * the unfinished mini-batch), so a token costs the same after ten tokens and
 * after a million.  With attention the carries are the keys and values of all
 * tokens (the KV cache): memory and the cost of a token grow with the text.
 */
#ifndef GENERATE_H
#define GENERATE_H

#include <stdint.h>

#include "src/infer/sampler.h"
#include "src/model/model.h"

struct generate_opts {
    struct sampler_opts sampler;
    int64_t tokens;   /* at most                                             */
    int     slice;    /* tokens of the prompt read at once, >= 1             */
    int     eos;      /* the token that ends the text; -1: none              */
    int     vocab;    /* only ids below this are written; 0: all             */
};

struct generate_stats {
    int64_t written;
    double  read_s, write_s;
    int     ended;    /* by eos                                              */
};

/* Takes a token; the text ends early if it does not return OK. */
typedef int generate_emit(void *ctx, int32_t token);

/* Read n >= 1 tokens, then write up to o->tokens, each handed to emit() at
 * once; eos is not handed out.  Local; threads inside.
 *
 * returns OK; ERR_CONFIG if a token of the prompt is not one of the model's;
 * ERR_USAGE, ERR_DIVERGED of the sampler; what emit() returned */
int generate_run(const struct model *m, const int32_t *prompt, int64_t n,
                 const struct generate_opts *o, generate_emit *emit, void *ctx,
                 struct generate_stats *stats);

#endif
