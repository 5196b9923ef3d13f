/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/flops.h"

double flops_block(const struct model *m, int l, int context)
{
    const struct block *b = &m->blocks[l];
    const int end = l + 1 < m->dims.L ? block_first(&m->blocks[l + 1]) : m->i_norm;
    double params = 0;

    for (int i = block_first(b); i < end; i++)
        if (m->params.p[i].product) params += (double)m->params.p[i].n;
    return 2 * params + b->layer->flops(&b->d, 0.5 * (context + 1.0));
}

double flops_pair(const struct model *m, int l)
{
    const struct block *b = &m->blocks[l];
    return b->layer->flops(&b->d, 1) - b->layer->flops(&b->d, 0);
}

double flops_blocks(const struct model *m, int context)
{
    double sum = 0;
    for (int l = 0; l < m->dims.L; l++) sum += flops_block(m, l, context);
    return sum;
}

double flops_head(const struct model *m) { return 2.0 * m->dims.V * m->dims.C; }
