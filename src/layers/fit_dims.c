/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of whole models (fit.h).  Those of a layer are in its fits(). */
#include "src/base/status.h"
#include "src/layers/dims_table.h"
#include "src/layers/fit.h"
#include "src/layers/pattern.h"

/* Whole numbers are within their limits, so that the other rules can count with them. */
static void fit_limits(struct fit *f, const struct dims *d)
{
    const struct dim *row;

    for (int i = 0; (row = dims_row(i)); i++) {
        if (row->type != DIM_INT || !row->most) continue;
        const int n = *(const int *)dims_get(d, row);
        fit_must(f, KEYS(row->key), (n >= row->least && n <= row->most) || (n == 0 && row->zero),
                 "expected a whole number from %d to %d, found %d", row->least, row->most, n);
    }
}

/* What no layer of the model uses has no value other than "none". */
static void fit_used(struct fit *f, const struct pattern *p, const struct dims *d)
{
    const struct { const char *key; int has, on; } switches[] = {
        { "model.gate", HAS_INNER, d->gate }, { "model.share_qk", HAS_INNER, d->share_qk },
        { "model.qkv_bias", HAS_ATTENTION, d->qkv_bias },
    };

    fit_must(f, KEYS("model.ffn_width", "model.layer"), p->ffn || !d->E,
             "expected 0 for layer %s, found %d", d->layer, d->E);
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        fit_must(f, KEYS(switches[i].key, "model.layer"),
                 p->has & switches[i].has || !switches[i].on,
                 "expected false for layer %s, found true", d->layer);
    if (p->has & HAS_ATTENTION) return;
    fit_must(f, KEYS("model.sliding_window", "model.layer"), !d->window,
             "expected 0 for layer %s, found %d", d->layer, d->window);
    fit_must(f, KEYS("model.rope_scaling.type", "model.layer"), d->rope_scaling == ROPE_DEFAULT,
             "expected default for layer %s", d->layer);
    fit_must(f, KEYS("model.head_dim", "model.width", "model.heads", "model.layer"),
             !(p->has & HAS_HEADS) || !d->F || (int64_t)d->F * d->H == d->C,
             "expected model.width / model.heads, %d / %d, for layer %s, found %d", d->C, d->H,
             d->layer, d->F);
    fit_must(f, KEYS("model.kv_heads", "model.heads", "model.layer"),
             !(p->has & HAS_HEADS) || head_groups(d) == d->H,
             "expected model.heads (%d) for layer %s, found %d: every head has its own keys and "
             "values", d->H, d->layer, d->Hkv);
}

void fit_dims(struct fit *f, const struct dims *d)
{
    struct pattern p;

    fit_limits(f, d);
    if (f->bad) return;
    if (pattern_of(&p, d->layer) != OK) {  /* reported */
        f->bad++;
        return;
    }
    fit_must(f, KEYS("model.layer", "model.layers"), p.n <= d->L,
             "expected at most one layer for each of the %d blocks (model.layers), found %d", d->L,
             p.n);
    fit_used(f, &p, d);
    for (int i = 0; i < p.n; i++) {
        const struct dims own = pattern_dims(&p, d, i);
        int first = 0;
        while (p.layer[first] != p.layer[i]) first++;
        if (first == i) p.layer[i]->fits(f, &own);
    }
}
