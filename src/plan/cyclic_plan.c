/* SPDX-License-Identifier: Apache-2.0 */
#include "src/plan/cyclic_plan.h"

int64_t cyclic_count(const struct cyclic *c, int rank)
{
    const int64_t blocks = c->n / c->nb, rest = c->n % c->nb, mine = blocks / c->p;
    const int64_t extra = blocks % c->p;
    return mine * c->nb + (rank < extra ? c->nb : rank == extra ? rest : 0);
}

int cyclic_owner(const struct cyclic *c, int64_t global) { return (int)(global / c->nb % c->p); }

int64_t cyclic_local(const struct cyclic *c, int64_t global)
{
    return global / c->nb / c->p * c->nb + global % c->nb;
}

int64_t cyclic_global(const struct cyclic *c, int64_t local, int rank)
{
    return (local / c->nb * c->p + rank) * c->nb + local % c->nb;
}

void cyclic_grid(int *rows, int *cols, int processes)
{
    *rows = 1;
    for (int r = 1; r * r <= processes; r++)
        if (4 * r * (processes / r) >= 3 * processes) *rows = r;
    *cols = processes / *rows;
}

int cyclic_block(int64_t n, int cols)
{
    const int64_t fair = n / cols;
    return fair >= 64 ? 64 : fair >= 1 ? (int)fair : 1;
}
