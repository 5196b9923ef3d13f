/* SPDX-License-Identifier: Apache-2.0 */
#include "src/plan/exchange.h"

#include "src/base/part.h"

int chunk_tokens(const struct grid_shape *g, const struct step_shape *w, int context,
                 int unit_tokens, int s)
{
    const int64_t from = part_begin(w->U, g->S, s) * unit_tokens;
    const int64_t to = part_begin(w->U, g->S, s + 1) * unit_tokens;
    return (int)((to < context ? to : context) - from);
}

static double heads_of(const struct exchange *x, const struct grid_shape *g, int s)
{
    return (double)(part_begin(x->heads, g->S, s + 1) - part_begin(x->heads, g->S, s));
}

double exchange_bytes(const struct exchange *x, const struct grid_shape *g, int s, int s_tokens,
                      int t, int t_tokens, int backward)
{
    const double to_heads = s_tokens * heads_of(x, g, t), to_tokens = heads_of(x, g, s) * t_tokens;
    const double forward = to_heads * x->in_bytes + to_tokens * x->out_bytes;

    if (s == t) return 0;
    if (!backward) return forward;
    return to_heads * x->out_bytes + to_tokens * x->in_bytes + (x->again ? forward : 0);
}

double exchange_halo(const struct exchange *x, int s, int t, int backward)
{
    if (!backward) return t == s + 1 ? x->halo_bytes : 0;
    return (t == s - 1) * x->halo_bytes + (x->again && t == s + 1) * x->halo_bytes;
}
