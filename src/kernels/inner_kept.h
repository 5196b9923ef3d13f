/* SPDX-License-Identifier: Apache-2.0 */
/* inner_kept.h -- what the dual form's forward keeps of a mini-batch, so that replay need not
 * compute it again: small, and a product or two each.
 */
#ifndef INNER_KEPT_H
#define INNER_KEPT_H

#include "src/kernels/inner_dense.h"

struct inner_kept {
    real *h1, *s1;   /* (r,F), (r) norm of the keys' side    (inner_out.h)   */
    real *h2, *s2;   /*            and of the queries'                       */
    real *P;         /* (r,r) of each layer: inner_overlap() (inner_dense.h) */
    int   r;
};

static inline int64_t inner_kept_reals(int K, int F, int layers)
{
    return 2 * align_reals((int64_t)K * F) + 2 * align_reals(K) +
           layers * align_reals((int64_t)K * K);
}

static inline struct inner_kept inner_kept_at(const real *block, int r, int F)
{
    real *p = (real *)(uintptr_t)block;
    struct inner_kept k = { .h1 = inner_take(&p, (int64_t)r * F), .r = r };
    k.h2 = inner_take(&p, (int64_t)r * F);
    k.s1 = inner_take(&p, r);
    k.s2 = inner_take(&p, r);
    k.P = p;
    return k;
}

/* P of dense layer i. */
static inline real *inner_overlap(const struct inner_kept *k, int i)
{
    return k->P + i * align_reals((int64_t)k->r * k->r);
}

#endif
