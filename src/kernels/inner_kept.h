/* inner_kept.h -- what forward keeps of a mini-batch, so that replay need not compute it again:
 * small, and a product or two each. */
#ifndef INNER_KEPT_H
#define INNER_KEPT_H

#include "src/kernels/inner_dense.h"

#define INNER_MOST_LAYERS 2

struct inner_kept {
    real *h1, *s1;                   /* (r,F), (r) norm of the keys' side    (inner_out.h)   */
    real *h2, *s2;                   /*            and of the queries'                       */
    real *P[INNER_MOST_LAYERS];      /* (r,r) of each layer                  (inner_dense.h) */
};

static inline int64_t inner_kept_reals(int K, int F, int layers)
{
    return 2 * align_reals((int64_t)K * F) + 2 * align_reals(K) +
           layers * align_reals((int64_t)K * K);
}

static inline struct inner_kept inner_kept_at(const real *block, int r, int F, int layers)
{
    real *p = (real *)(uintptr_t)block;
    struct inner_kept k = { .h1 = inner_take(&p, (int64_t)r * F) };
    k.h2 = inner_take(&p, (int64_t)r * F);
    k.s1 = inner_take(&p, r);
    k.s2 = inner_take(&p, r);
    for (int i = 0; i < layers; i++) k.P[i] = inner_take(&p, (int64_t)r * r);
    return k;
}

#endif
