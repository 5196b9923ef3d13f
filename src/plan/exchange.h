/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h -- what crosses between the ranks of a sequence in heads mode, and in scan mode, which
 * has no heads but adds a map of the state to each halo.
 *
 *   forward   own tokens of the peer's heads: `in` bytes of a token and head
 *             all tokens of the peer, own heads: `out` bytes
 *   backward  the gradients go back: `out` first, then `in`
 *   halos     the last inputs of convolutions to the next rank, their gradients to the one before
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "src/plan/share.h"

struct exchange {
    int    heads;
    double in_bytes, out_bytes;   /* of a token and head                       */
    double halo_bytes;            /* of a sequence and layer                   */
    int    again;                 /* backward computes blocks a second time    */
};

/* Tokens of chunk s. */
int chunk_tokens(const struct grid_shape *g, const struct step_shape *w, int context,
                 int unit_tokens, int s);

/* Bytes of one sequence and layer from chunk s to chunk t, whose tokens are given. */
double exchange_bytes(const struct exchange *x, const struct grid_shape *g, int s, int s_tokens,
                      int t, int t_tokens, int backward);
double exchange_halo(const struct exchange *x, int s, int t, int backward);

#endif
