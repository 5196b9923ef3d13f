/* SPDX-License-Identifier: Apache-2.0 */
/* bias.h -- a bias, added to the rows of a product. */
#ifndef BIAS_H
#define BIAS_H

#include "src/base/real.h"

/* y (N,M) += b (M) in every row.  Local; threads inside.  2 NM reals moved. */
void bias_forward(real *y, const real *b, int N, int M);

/* db (M) = the sum of the rows of dy (N,M): groups of 16 rows as reals, these in double (lanes.h).
 * Local; threads inside.  NM reals moved. */
void bias_backward(real *db, const real *dy, int N, int M);

#endif
