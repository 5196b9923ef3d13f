/* Scan mode: the middle of a layer on own units, once as a map, once from a known state. */
#include <string.h>

#include "src/model/heads_state.h"

real *stage_scan_map(struct stage *st, int slot, int64_t *n)
{
    const int B = st->slots[slot].B;
    int64_t offset, stride;

    block_map_part(&st->m->blocks[0], B, &offset, n, &stride);
    *n *= B;
    return st->heads->map;
}

void stage_scan_start(struct stage *st, int slot)
{
    int64_t n;
    real *map = stage_scan_map(st, slot, &n);

    for (int64_t i = 0; i < n; i++) map[i] = 1;
    memset(map + n, 0, (size_t)n * sizeof *map);
}

void stage_scan_add(struct stage *st, int slot, int l, int j, int back)
{
    struct layer_call c = heads_own_call(st, slot, NULL, j);
    struct block_tape *t = heads_unit_tape(st, slot, l, j), *w = &st->heads->work[j];

    if (back) block_map_backward(heads_block(st, l), &c, st->heads->map, t, w);
    else block_map(heads_block(st, l), &c, st->heads->map, t, w);
}

void stage_scan_enter(struct stage *st, int slot, int l, const real *map, int back)
{
    const int B = st->slots[slot].B;
    real *carry = back ? st->heads->dcarry : st->heads->carry;
    int64_t offset, n, stride;

    block_map_part(heads_block(st, l), B, &offset, &n, &stride);
    for (int b = 0; b < B; b++) {
        real *state = carry + offset + b * stride;
        const real *decay = map + b * n, *add = map + (B + b) * n;
        for (int64_t i = 0; i < n; i++) state[i] = decay[i] * state[i] + add[i];
    }
}

void stage_scan_inner(struct stage *st, int slot, int l, int j)
{
    const struct block *b = heads_block(st, l);
    struct layer_call c = heads_own_call(st, slot, NULL, j);
    struct block_tape *w = &st->heads->work[j];
    const struct head_share s = block_all(b, heads_unit_tape(st, slot, l, j), w);

    block_inner(b, &c, &s, st->heads->carry, w);
}

void stage_scan_inner_backward(struct stage *st, int slot, int l, int j, struct grad *g)
{
    const struct block *b = heads_block(st, l);
    struct layer_call c = heads_own_call(st, slot, g, j);
    struct block_tape *w = &st->heads->work[j];
    const struct head_share s = block_all(b, heads_unit_tape(st, slot, l, j), w);

    block_inner_backward(b, &c, &s, st->heads->dcarry, w);
}
