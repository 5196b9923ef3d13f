/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/eval_pass.h"

#include <limits.h>

#include "src/base/status.h"
#include "src/infer/eval_sums.h"

#define PROBE_ROWS 64  /* of a unit: enough for the matrix products to be those of training */

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

int eval_pass(struct pass_opts *o, int K, int64_t longest, int64_t windows, int D, int S)
{
    const int least = K > 1 ? K : 2;
    const int64_t most = max(EVAL_SLICE / K * K, least);
    const int64_t slice = min(most, max(longest / S / K * K, least));
    int64_t context = max(eval_rows(longest, K), S * slice);

    if (context % slice == 1) context++;  /* K is 1 */
    if (context > INT_MAX - slice)
        return fail(ERR_CONFIG, "a window has %lld tokens, and a grid can evaluate at most %d: "
                    "lower --context", (long long)longest, INT_MAX - (int)slice);
    *o = (struct pass_opts){
        .context = (int)context, .slice_tokens = (int)slice, .inner_group = 1,
        .remat = REMAT_BLOCK, .mask_token = -1,
        .micro_batch = (int)max(1, min(EVAL_SLICE / longest, (windows + D - 1) / D)),
    };
    return OK;
}

struct pass_opts canary_pass(const struct dims *d, const struct pass_opts *training)
{
    const int rows = PROBE_ROWS < d->K ? d->K : PROBE_ROWS / d->K * d->K;
    const int slice = rows < training->slice_tokens ? rows : training->slice_tokens;
    return (struct pass_opts){ .context = slice * pass_units(training), .slice_tokens = slice,
                               .micro_batch = 1, .inner_group = 1, .remat = REMAT_BLOCK,
                               .mask_token = -1 };
}
