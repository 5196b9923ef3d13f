/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/slices.h"

#include "src/base/mem.h"
#include "src/base/status.h"

#define WORTH 1.02   /* less is within the model's error */
enum { LEAST = 64 };

static int try_one(struct slices *s, const struct conf *c, int ranks, const struct rates *r,
                   double *than)
{
    struct cost cost = { 0 };
    struct forecast *list = NULL;
    int count = 0, rc;

    TRY(forecast_cost(&cost, c, r));
    if (forecast_ranks(&cost, ranks) < ranks) goto out;
    TRY(forecast_all(&list, &count, &cost, ranks, r));
    if (list->fits && list->tok_per_s > WORTH * *than) {
        forecast_done(&s->best);
        s->best = list[0];
        list[0] = (struct forecast){ .nodes = 0 };
        s->tokens = c->train.slice_tokens;
        *than = s->best.tok_per_s / WORTH;  /* from here on any gain counts */
    }
out:
    forecasts_free(list, count);
    cost_done(&cost);
    return rc;
}

int slices_try(struct slices *s, const struct conf *c, int ranks, const struct rates *r, double than)
{
    struct conf *other = mem_new(1, sizeof *other, "configuration");
    const int T = c->train.context, K = c->model.mini_batch;
    const int own = c->train.slice_tokens < T ? c->train.slice_tokens : T;
    int rc = OK;

    *s = (struct slices){ 0 };
    *other = *c;
    for (int n = own / 8 > 0 ? own / 8 : 1; n <= T; n *= 2) {
        if (n == own || n < LEAST || (n < T && n % K)) continue;
        other->train.slice_tokens = n;
        TRY(try_one(s, other, ranks, r, &than));
    }
out:
    mem_free(other);
    return rc;
}
