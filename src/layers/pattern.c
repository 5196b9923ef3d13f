/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/pattern.h"

#include <string.h>

#include "src/base/status.h"

#define SEPARATOR ", "

const char *pattern_next(char name[PATTERN_NAME], const char *text)
{
    const size_t n = strcspn(text, SEPARATOR), used = n < PATTERN_NAME ? n : PATTERN_NAME - 1;

    memcpy(name, text, used);
    name[used] = '\0';
    return text + n + strspn(text + n, SEPARATOR);
}

int pattern_is_list(const char *text) { return strchr(text, SEPARATOR[0]) != NULL; }

static int count_of(const char *text)
{
    char name[PATTERN_NAME];
    int n = 0;
    while (*text) text = pattern_next(name, text), n++;
    return n;
}

int pattern_add(char *text, const char *name)
{
    const size_t used = strlen(text), more = strlen(name) + (used ? strlen(SEPARATOR) : 0);

    if (!*name || strpbrk(name, SEPARATOR) || used + more >= PATTERN_TEXT ||
        count_of(text) >= PATTERN_LAYERS) return 0;
    if (used) strcat(text, SEPARATOR);
    strcat(text, name);
    return 1;
}

/* Is the list the one of its first n names, repeated? */
static int repeats(const char *text, int n)
{
    const char *first = text;
    char a[PATTERN_NAME], b[PATTERN_NAME];

    for (int i = 0; i < n; i++) first = pattern_next(a, first);
    for (const char *later = first; *later; ) {
        text = pattern_next(a, text);
        later = pattern_next(b, later);
        if (strcmp(a, b) != 0) return 0;
    }
    return 1;
}

void pattern_shorten(char *text)
{
    const int all = count_of(text);
    char name[PATTERN_NAME];
    const char *end = text;

    for (int n = 1; n < all; n++) {
        const char *before = end;
        end = pattern_next(name, end);
        if (all % n != 0 || !repeats(text, n)) continue;
        const ptrdiff_t used = before - text + (ptrdiff_t)strlen(name);
        memset(text + used, 0, strlen(text + used));
        return;
    }
}

/* Names around the blocks: those of the family that all layers have, or a mixture's. */
static const struct family *family_of(const struct pattern *p)
{
    for (int i = 1; i < p->n; i++)
        if (p->layer[i] != p->layer[0]) return &family_mixture;
    return p->layer[0]->family;
}

int pattern_of(struct pattern *p, const char *text)
{
    char name[PATTERN_NAME];

    *p = (struct pattern){ .n = 0 };
    if (!*text) return fail(ERR_CONFIG, "model.layer: expected a sequence layer, found none");
    while (*text && p->n < PATTERN_LAYERS) {
        text = pattern_next(name, text);
        const struct layer *layer = layers_find(name);
        if (!layer) {
            const int at = p->n + 1;
            *p = (struct pattern){ .n = 0 };
            if (at > 1 || *text)
                return fail(ERR_CONFIG, "model.layer: there is no sequence layer '%s' (entry %d of "
                            "the list)", name, at);
            return fail(ERR_CONFIG, "model.layer: there is no sequence layer '%s'", name);
        }
        p->layer[p->n++] = layer;
        p->has |= layer->has;
        p->ffn |= layer->family->ffn_norm != NULL;
    }
    p->family = family_of(p);
    return OK;
}

/* The dims of a model or block that has the properties `has` and, with ffn, a feed-forward. */
static void trim(int has, int ffn, struct dims *d)
{
    if (!(has & HAS_HEADS)) d->H = 1, d->Hkv = 0;
    if (!(has & HAS_INNER)) d->K = 1, d->gate = d->share_qk = d->pre_conv = d->without = 0;
    if (!(has & HAS_STATE)) d->state = d->expand = d->dt_rank = 0;
    if (!(has & HAS_ATTENTION) || d->F < 0 || (int64_t)d->F * d->H == d->C) d->F = 0;
    if (!(has & HAS_ATTENTION)) d->qkv_bias = d->window = 0, d->rope_scaling = ROPE_DEFAULT;
    if (!ffn) d->E = 0;
    if (d->full_layers >= d->L) d->window = 0;
    if (!d->window) d->full_layers = 0;
    if (d->rope_scaling == ROPE_DEFAULT) d->rope_factor = 0;
    if (d->rope_scaling != ROPE_LLAMA3) d->rope_low = d->rope_high = d->rope_original = 0;
}

void pattern_trim(const struct pattern *p, struct dims *d) { trim(p->has, p->ffn, d); }

void layer_trim(const struct layer *layer, struct dims *d)
{
    strcpy(d->layer, layer->name);
    if (!(layer->has & HAS_ATTENTION)) d->Hkv = 0;
    trim(layer->has, layer->family->ffn_norm != NULL, d);
}

struct dims pattern_dims(const struct pattern *p, const struct dims *d, int i)
{
    struct dims own = *d;
    if (p->n > 1) layer_trim(p->layer[i], &own);
    return own;
}
