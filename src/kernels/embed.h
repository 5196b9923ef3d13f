/* SPDX-License-Identifier: Apache-2.0 */
/* embed.h -- the embedding: rows of a table, chosen by token. */
#ifndef EMBED_H
#define EMBED_H

#include "src/base/real.h"

/* Row n of x (N,C) = row tok_n of w (V,C).  Tokens are in range: whoever reads them from a file or
 * from a user checks them.  Local; threads inside.  2 NC reals moved. */
void embed_forward(real *x, const real *w, const int32_t *tok, int N, int C);

#endif
