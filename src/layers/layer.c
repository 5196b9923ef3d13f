/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/layer.h"

#include "src/base/status.h"

void layout_bytes(struct layout *l, enum life life, int i, int64_t n)
{
    if (i < 0 || i >= l->room)
        die("layer %s has an array number %d, but a slice has room for %d arrays (LAYER_ARRAYS)",
            l->who, i, l->room);
    if (l->lives & (int)life) l->v[i] = n ? arena_bytes(l->a, n) : NULL;
}

void layout_reals(struct layout *l, enum life life, int i, int64_t n)
{
    layout_bytes(l, life, i, n * (int64_t)sizeof(real));
}

struct head_share layer_all_heads(const struct layer *layer, const struct layer_call *c)
{
    struct head_share s = {
        .H = head_groups(c->d), .out = c->v[layer->out.at], .dout = c->v[layer->out.grad],
        .kept = layer->kept ? c->v[layer->kept] : NULL,
    };
    for (int i = 0; i < LAYER_INPUTS && layer->in[i].reals; i++) {
        s.in[i] = c->v[layer->in[i].at];
        s.din[i] = c->v[layer->in[i].grad];
    }
    return s;
}

int64_t layer_in_reals(const struct layer *layer, const struct dims *d)
{
    int64_t sum = 0;
    for (int i = 0; i < LAYER_INPUTS && layer->in[i].reals; i++) sum += layer->in[i].reals(d);
    return sum;
}

int64_t layer_halo_reals(const struct layer *layer, const struct dims *d)
{
    return layer->halo.width ? align_reals((int64_t)(d->conv_width - 1) * layer->halo.width(d)) : 0;
}
