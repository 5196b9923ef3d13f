/* SPDX-License-Identifier: Apache-2.0 */
/* ttt_params.h -- parameters and carry of a TTT layer: what there is and where it lies. */
#ifndef TTT_PARAMS_H
#define TTT_PARAMS_H

#include "src/layers/layer.h"

/* Places of the parameters after the layer's first one; -1: not there.  state: the first initial
 * value of the fast weights; those that are learned follow each other. */
struct ttt_places {
    int q, k, v, o, g, conv_q, conv_k, lr, token_idx, norm, state, post;
};

struct ttt_places ttt_places(const struct dims *d);

/* As in struct layer. */
void ttt_fits(struct fit *f, const struct dims *d);
void ttt_params(struct param_table *t, const struct dims *d, const char *prefix);
int64_t ttt_carry_reals(const struct dims *d);
int ttt_carry_part(const struct dims *d, int i, int64_t *offset, int64_t *n);
void ttt_carry_start(const struct layer_call *c, real *carry);
void ttt_carry_start_backward(const struct layer_call *c, const real *dcarry);
int ttt_state(const struct dims *d, int i, const char **name, int shape[3], int64_t *offset,
              int64_t *stride);

/* Reals of the halo that a carry begins with. */
int64_t ttt_halo_reals(const struct dims *d);

/* out (H, stride): the initial states of all heads, each in one piece. */
void ttt_initial_states(const struct layer_call *c, real *out, int64_t stride);

#endif
