/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/ttt_inner.h"

#include <string.h>

#include "src/base/status.h"
#include "src/kernels/ttt_linear.h"
#include "src/kernels/ttt_mlp.h"

struct row { const char *layer; const struct inner *inner; };

#define ROW(name, pair) { name, &pair },
static const struct row table[] = { TTT_LAYERS(ROW) };
static struct row added;

void ttt_inner_add(const char *name, const struct inner *f) { added = (struct row){ name, f }; }

const struct inner *ttt_inner(const struct dims *d)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(d->layer, table[i].layer)) return table[i].inner;
    if (added.layer && !strcmp(d->layer, added.layer)) return added.inner;
    die("no inner model for the layer '%s'", d->layer);
}

int ttt_rates(const struct dims *d) { return inner_token_rates(ttt_inner(d)); }
