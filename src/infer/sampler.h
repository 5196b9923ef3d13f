/* SPDX-License-Identifier: Apache-2.0 */
/* sampler.h -- the next token from logits.
 *
 *     logits -> order (largest first, equal ones by id) -> top-k -> / temperature
 *            -> softmax -> top-p -> one uniform number
 *
 * The number is a function of (seed, position): the same text comes out again,
 * and a text that is continued from its own beginning continues in the same way.
 */
#ifndef SAMPLER_H
#define SAMPLER_H

#include <stdint.h>

#include "src/base/real.h"

struct sampler_opts {
    double   temperature;  /* >= 0; 0: the largest logit                        */
    int64_t  top_k;        /* only the k largest; 0: all                        */
    double   top_p;        /* the fewest whose probabilities reach p, in (0, 1] */
    uint64_t seed;
};

struct sampler;

/* OK, or ERR_USAGE with a message for an option out of range. */
int sampler_new(struct sampler **out, const struct sampler_opts *o, int V);
void sampler_free(struct sampler *s);

/* The token at `position` of a text.
 * token    [out] 0 <= token < V
 * returns  OK; ERR_DIVERGED, reported, if a logit is not finite */
int sampler_next(struct sampler *s, int32_t *token, const real *logits, int64_t position);

#endif
