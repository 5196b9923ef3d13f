/* SPDX-License-Identifier: Apache-2.0 */
/* tiny_model.h -- models of a few hundred parameters, and how tests run them. */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "src/model/pass.h"

/* All ablations at once (dims.without). */
#define EVERYTHING (2 * WITHOUT_MEAN - 1)

extern const char *const layer_names[3];   /* ttt_linear, ttt_mlp, attention */

/* Two layers of 12 units and 37 pieces, with the Mamba backbone or the Transformer's. */
struct dims tiny(int mamba);

/* The same with attention of C units, H heads and Hkv of keys. */
struct dims attention(int C, int H, int Hkv);

/* Heads of a width of their own, F: together narrower or wider than the stream. */
struct dims headed(int C, int H, int Hkv, int F);

/* The same with a layer that the program does not have, which it is given here: an inner model with six
 * parts and three rates, a step with momenta, neither with a fused body; its outputs are those after
 * the step (0), or before it (1). */
struct dims tiny_pair(int before);

/* A new model.  No parameter keeps a 0 or a 1 that would hide an error. */
struct model *rough_model(const struct dims *d, uint64_t seed);

/* n tokens of [0, V). */
void random_tokens(int32_t *tok, int64_t n, int V, uint64_t seed);

struct pass_opts opts(int context, int slice, int micro, enum remat remat);

/* The mean loss of B windows, in nats. */
double loss_of(struct pass *p, const int32_t *windows, int B);

/* hidden (T,C) of one sequence, read in slices of `slice`. */
void read_all(const struct model *m, real *x, const int32_t *tok, int T, int slice);

#endif
