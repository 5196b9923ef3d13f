/* SPDX-License-Identifier: Apache-2.0 */
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

const struct layer *layers_find(const char *name)
{
    for (int i = 0; layers_row(i); i++)
        if (!strcmp(layers_row(i)->name, name)) return layers_row(i);
    return NULL;
}
