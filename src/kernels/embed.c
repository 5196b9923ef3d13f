/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/embed.h"

#include <string.h>

#include "src/kernels/lanes.h"

void embed_forward(real *x, const real *w, const int32_t *tok, int N, int C)
{
    #pragma omp parallel for schedule(static) if ((int64_t)N * C >= PARALLEL_MIN)
    for (int n = 0; n < N; n++)
        memcpy(x + (int64_t)n * C, w + (int64_t)tok[n] * C, (size_t)C * sizeof *x);
}
