#include "src/layers/layer.h"

#include <string.h>

#include "src/layers/attention_layer.h"
#include "src/layers/mamba.h"
#include "src/layers/ttt.h"

/* The table: a new sequence layer is a row here.  TTT layers, of which there is one for each inner
 * model, have their own in ttt.c. */
static const struct layer *const table[] = { &layer_attention, &layer_mamba };

const struct layer *layers_row(int i)
{
    for (int k = 0; ttt_layer(k); k++, i--)
        if (i == 0) return ttt_layer(k);
    return i >= 0 && i < (int)(sizeof table / sizeof *table) ? table[i] : NULL;
}

void layer_trim(const struct layer *layer, struct dims *d)
{
    if (!(layer->has & HAS_HEADS)) d->H = 1, d->Hkv = 0;
    if (!(layer->has & HAS_INNER))
        d->K = 1, d->gate = d->share_qk = d->pre_conv = d->without = 0;
    if (!(layer->has & HAS_STATE)) d->state = d->expand = d->dt_rank = 0;
    if (!(layer->has & HAS_ATTENTION) || d->F < 0 || (int64_t)d->F * d->H == d->C) d->F = 0;
    if (!(layer->has & HAS_ATTENTION)) d->qkv_bias = d->window = 0, d->rope_scaling = ROPE_DEFAULT;
    if (d->full_layers >= d->L) d->window = 0;
    if (!d->window) d->full_layers = 0;
    if (d->rope_scaling == ROPE_DEFAULT) d->rope_factor = 0;
    if (d->rope_scaling != ROPE_LLAMA3) d->rope_low = d->rope_high = d->rope_original = 0;
}

const struct layer *layers_find(const char *name)
{
    for (int i = 0; layers_row(i); i++)
        if (!strcmp(layers_row(i)->name, name)) return layers_row(i);
    return NULL;
}
