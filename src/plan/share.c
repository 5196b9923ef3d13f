/* SPDX-License-Identifier: Apache-2.0 */
#include "src/plan/share.h"

#include <stddef.h>

#include "src/base/part.h"
#include "src/base/status.h"
#include "src/base/text.h"

int grid_is(struct grid_shape *g, const char *text)
{
    int64_t n[3];
    const char *end = text;

    for (int i = 0; i < 3; i++) {
        const char *from = end + (i > 0);
        end = *from >= '1' && *from <= '9' ? text_whole(&n[i], from) : NULL;
        if (!end || *end != (i < 2 ? 'x' : '\0')) return 0;
    }
    if (n[0] > GRID_RANKS || n[1] > GRID_RANKS / n[0] || n[2] > GRID_RANKS / n[0] / n[1]) return 0;
    *g = (struct grid_shape){ (int)n[0], (int)n[1], (int)n[2] };
    return 1;
}

int grid_parse(struct grid_shape *g, const char *text)
{
    if (grid_is(g, text)) return OK;
    return fail(ERR_CONFIG, "grid '%.40s': expected DxPxS, for example 2x1x4, and at most %d ranks",
                text, GRID_RANKS);
}

/* The largest divisor of n that is at most `most`. */
static int divisor(int n, int most)
{
    int k = n < most ? n : most;
    while (k > 1 && n % k) k--;
    return k < 1 ? 1 : k;
}

struct grid_shape grid_auto(int n, const struct step_shape *w)
{
    struct grid_shape g = { .D = divisor(n, w->sequences) };
    g.S = divisor(n / g.D, w->U);
    g.P = n / g.D / g.S;
    return g;
}

int grid_ranks(const struct grid_shape *g) { return g->D * g->P * g->S; }

int grid_rank(const struct grid_shape *g, int d, int p, int s)
{
    return (d * g->P + p) * g->S + s;
}

int share_check(const struct grid_shape *g, const struct step_shape *w)
{
    if (g->D < 1 || g->P < 1 || g->S < 1)
        return fail(ERR_CONFIG, "grid %dx%dx%d: every direction needs at least 1", g->D, g->P,
                    g->S);
    if (g->P > w->L)
        return fail(ERR_CONFIG, "grid %dx%dx%d: %d stages, but the model has %d layers", g->D,
                    g->P, g->S, g->P, w->L);
    if (g->S > w->U)
        return fail(ERR_CONFIG,
                    "grid %dx%dx%d: a sequence is cut into %d units of train.slice_tokens, so it "
                    "can't be split over %d ranks; a smaller train.slice_tokens gives more units "
                    "(and another run: it is part of the result)",
                    g->D, g->P, g->S, w->U, g->S);
    return OK;
}

/* --- layers ---------------------------------------------------------------------- */

/* The stages that layers from l on take if none may cost more than cap. */
static int stages_needed(const struct step_shape *w, int l, int64_t cap)
{
    int n = 0;
    for (int64_t sum = cap; l < w->L; l++) {
        if (sum + w->cost[l] > cap) {
            n++;
            sum = 0;
        }
        sum += w->cost[l];
    }
    return n;
}

/* What the stage that costs most must cost at least; total [out]: of all layers. */
static int64_t least_cap(int64_t *total, const struct step_shape *w, int P)
{
    int64_t low = 0, high = 0;

    for (int l = 0; l < w->L; l++) {
        if (w->cost[l] > low) low = w->cost[l];
        high += w->cost[l];
    }
    *total = high;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (stages_needed(w, 0, middle) <= P) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* Stage by stage: layers are taken until the stage has its part of what is left, rounded up as
 * part_begin() does, so that layers that cost the same are shared out as if they had no costs; but
 * never beyond the cap, and always as many as the later stages can't take under it. */
int share_layer(const struct step_shape *w, int P, int p)
{
    int64_t rest;
    int l = 0;

    if (!w->cost) return (int)part_begin(w->L, P, p);
    const int64_t cap = least_cap(&rest, w, P);
    for (int later = P - 1; later >= P - p; later--) {
        int64_t sum = 0;
        int more;
        do {
            sum += w->cost[l++];
            more = stages_needed(w, l, cap) > later;
            if (!more && w->L - l > later)
                more = sum < (rest + later) / (later + 1) && sum + w->cost[l] <= cap;
        } while (more);
        rest -= sum;
    }
    return l;
}

void share_of(struct share *out, const struct grid_shape *g, const struct step_shape *w, int rank)
{
    const int s = rank % g->S, p = rank / g->S % g->P, d = rank / (g->S * g->P);
    *out = (struct share){
        .d = d, .p = p, .s = s,
        .l0 = share_layer(w, g->P, p), .l1 = share_layer(w, g->P, p + 1),
        .u0 = (int)part_begin(w->U, g->S, s), .u1 = (int)part_begin(w->U, g->S, s + 1),
        .q0 = (int)part_begin(w->sequences, g->D, d),
        .q1 = (int)part_begin(w->sequences, g->D, d + 1),
    };
    out->M = (out->q1 - out->q0 + w->micro_batch - 1) / w->micro_batch;
}
