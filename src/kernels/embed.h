/* embed.h -- rows of a table by token. */
#ifndef EMBED_H
#define EMBED_H

#include "src/base/real.h"

/* x_n (N,C) = w[tok_n], w (V,C).  Tokens are in range: whoever reads them from
 * a file or a user has checked.  Local; 2 NC reals moved. */
void embed_forward(real *x, const real *w, const int32_t *tok, int N, int C);

#endif
