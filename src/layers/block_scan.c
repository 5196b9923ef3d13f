/* Scan mode: the middle of a layer as a map of its state. */
#include "src/layers/block.h"

void block_map_part(const struct block *b, int B, int64_t *offset, int64_t *n, int64_t *stride)
{
    const struct dims *d = &b->d;
    b->layer->carry_part(d, b->layer->split->state, offset, n);
    *stride = b->layer->carry_reals(d);
    *offset += B * (block_carry_reals(b) - *stride);
}

struct head_share block_all(const struct block *b, const struct block_tape *t,
                            const struct block_tape *w)
{
    const struct layer_split *split = b->layer->split;
    struct head_share s = { .H = 1, .out = t->layer.v[split->out.tape],
                            .dout = w->layer.v[split->out.grad],
                            .kept = t->layer.v[split->kept] };
    for (int i = 0; i < split->n_in; i++) {
        s.in[i] = t->layer.v[split->in[i].tape];
        s.din[i] = w->layer.v[split->in[i].grad];
    }
    return s;
}

void block_map(const struct block *b, struct layer_call *c, real *map, struct block_tape *t,
               struct block_tape *w)
{
    const struct head_share s = block_all(b, t, w);
    c->d = &b->d;
    c->first = b->i_layer;
    b->layer->split->map(c, &s, map, &w->layer);
}

void block_map_backward(const struct block *b, struct layer_call *c, real *map,
                        struct block_tape *t, struct block_tape *w)
{
    const struct head_share s = block_all(b, t, w);
    c->d = &b->d;
    c->first = b->i_layer;
    b->layer->split->map_backward(c, &s, map, &w->layer);
}
