/* bias.h -- a bias, added to the rows of a product. */
#ifndef BIAS_H
#define BIAS_H

#include "src/base/real.h"

/* y (N,M) += b (M) in every row.  2 N M reals moved.  Threads inside. */
void bias_forward(real *y, const real *b, int N, int M);

/* db (M) = sum over n of dy_n, in groups of rows as reals and these in double (lanes.h).  N M reals
 * moved.  Threads inside. */
void bias_backward(real *db, const real *dy, int N, int M);

#endif
