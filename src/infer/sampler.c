/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"

struct entry { double p; int32_t id; };

struct sampler {
    struct sampler_opts o;
    uint64_t            key;
    int                 V;
    struct entry       *e;  /* (V) candidates */
};

int sampler_new(struct sampler **out, const struct sampler_opts *o, int V)
{
    *out = NULL;
    if (!(o->temperature >= 0) || !isfinite(o->temperature))
        return fail(ERR_USAGE, "temperature must be 0 or larger, found %g", o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return fail(ERR_USAGE, "top-p must be above 0 and at most 1, found %g", o->top_p);
    if (o->top_k < 0)
        return fail(ERR_USAGE, "top-k must be 0 or larger, found %lld", (long long)o->top_k);

    struct sampler *s = mem_new(1, sizeof *s, "sampler");
    *s = (struct sampler){ .o = *o, .key = rng_key(o->seed, "sampler"), .V = V,
                           .e = mem_new(V, sizeof *s->e, "sampler candidates") };
    *out = s;
    return OK;
}

void sampler_free(struct sampler *s)
{
    if (s) mem_free(s->e);
    mem_free(s);
}

static int by_logit(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Logits of the first n candidates become probabilities, not yet divided by
 * their sum, which is returned.  The first candidate is the largest. */
static double soften(struct entry *e, int n, double temperature)
{
    const double largest = e[0].p;
    double sum = 0;
    for (int i = 0; i < n; i++) sum += e[i].p = exp((e[i].p - largest) / temperature);
    return sum;
}

int sampler_next(struct sampler *s, int32_t *token, const real *logits, int64_t position)
{
    int32_t best = 0;

    for (int v = 0; v < s->V; v++) {
        if (!isfinite(logits[v]))
            return fail(ERR_DIVERGED, "the logit of token %d at position %lld is %g: these weights "
                        "can't be used", v, (long long)position, (double)logits[v]);
        if (logits[v] > logits[best]) best = v;
        s->e[v] = (struct entry){ (double)logits[v], v };
    }
    *token = best;
    if (s->o.temperature == 0) return OK;

    qsort(s->e, (size_t)s->V, sizeof *s->e, by_logit);
    int n = s->o.top_k > 0 && s->o.top_k < s->V ? (int)s->o.top_k : s->V;
    double sum = soften(s->e, n, s->o.temperature);
    if (s->o.top_p < 1) {
        const double enough = s->o.top_p * sum;
        int kept = 0;
        for (sum = 0; kept < n && sum < enough; kept++) sum += s->e[kept].p;
        n = kept;
    }

    /* Rounding may leave the last candidate unreached: it is the answer then. */
    double left = rng_uniform(s->key, (uint64_t)position) * sum;
    int i = 0;
    while (i + 1 < n && (left -= s->e[i].p) >= 0) i++;
    *token = s->e[i].id;
    return OK;
}
