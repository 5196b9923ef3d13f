/* SPDX-License-Identifier: Apache-2.0 */
/* slices.h -- would a run be faster with other slices (train.slice_tokens)?
 *
 * Shorter ones give sequence and pipeline parallelism more pieces to share, longer ones add gradients
 * up less often.  They change the order of sums, so only a run that has not begun can choose.
 */
#ifndef SLICES_H
#define SLICES_H

#include "src/forecast/forecast.h"

struct slices {
    int             tokens;  /* of a slice; 0: no other ones are better  */
    struct forecast best;    /* its fastest grid; forecast_done()        */
};

/* Find the length whose fastest grid that fits trains more than `than` tokens a second, by at least
 * 2 %.  Half, a quarter, an eighth, and multiples up to the context are tried.
 *
 * returns  OK, or ERR_CONFIG as forecast_cost() reports it */
int slices_try(struct slices *s, const struct conf *c, int ranks, const struct rates *r, double than);

#endif
