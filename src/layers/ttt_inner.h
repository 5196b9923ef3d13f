/* SPDX-License-Identifier: Apache-2.0 */
/* ttt_inner.h -- the table of TTT layers: which inner model and inner step (kernels/inner.h) each
 * trains.  A new pair is a row of TTT_LAYERS, and its header in ttt_inner.c. */
#ifndef TTT_INNER_H
#define TTT_INNER_H

#include "src/kernels/inner.h"
#include "src/layers/dims.h"

/* X(name of the layer, its struct inner). */
#define TTT_LAYERS(X)            \
    X("ttt_linear", ttt_linear)  \
    X("ttt_mlp", ttt_mlp)

/* The pair of a layer with these dims; dies if it is no TTT layer. */
const struct inner *ttt_inner(const struct dims *d);

/* Rates of a token and head. */
int ttt_rates(const struct dims *d);

/* From now on the layer `name` trains f: for programs that bring a pair of their own, as tests do.
 * Both stay the caller's; there is room for one, and no thread may be looking for a layer. */
void ttt_inner_add(const char *name, const struct inner *f);

#endif
