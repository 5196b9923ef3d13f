/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/seq_share.h"

#include "src/base/part.h"

int seq_share_tokens(const struct seq_share *p, int u)
{
    const int left = p->context - u * p->T;
    return left < p->T ? left : p->T;
}

int seq_share_unit(const struct seq_share *p, int r) { return (int)part_begin(p->U, p->S, r); }

int seq_share_units(const struct seq_share *p, int r)
{
    return seq_share_unit(p, r + 1) - seq_share_unit(p, r);
}

int seq_share_head(const struct seq_share *p, int r)
{
    return (int)part_begin(p->groups, p->S, r);
}

int seq_share_heads(const struct seq_share *p, int r)
{
    return seq_share_head(p, r + 1) - seq_share_head(p, r);
}

int seq_share_rounds(const struct seq_share *p) { return (p->U + p->S - 1) / p->S; }

int seq_share_place(const struct seq_share *p, int u)
{
    int r = 0;
    while (seq_share_unit(p, r + 1) <= u) r++;
    return (u - seq_share_unit(p, r)) * p->S + r;
}

/* Reals of round j's unit of rank r, a group of heads; 0: it has none. */
static int64_t unit_reals(const struct seq_share *p, int64_t each, int j, int r)
{
    if (j >= seq_share_units(p, r)) return 0;
    return each * seq_share_tokens(p, seq_share_unit(p, r) + j);
}

struct cross_part seq_share_part(const struct seq_share *p, int64_t each, int B, int j, int r)
{
    const int64_t ours = B * unit_reals(p, each, j, p->s), its = B * unit_reals(p, each, j, r);
    const int H = seq_share_heads(p, p->s);

    return (struct cross_part){
        .tokens = ours * seq_share_heads(p, r), .tokens_at = ours * seq_share_head(p, r),
        .heads = its * H, .heads_at = r * each * B * p->T * H,
    };
}
