/* SPDX-License-Identifier: Apache-2.0 */
/* product_library.h -- a product by a library with which ours is compared (product.h), and which the
 * program needs for nothing else: without it the program is built all the same, and can() is 0.
 * Everything is local. */
#ifndef PRODUCT_LIBRARY_H
#define PRODUCT_LIBRARY_H

#include "src/bench/product.h"

/* Reals from row to row of A and of B as stored. */
static inline int product_lda(const struct product_shape *s)
{
    return s->transpose_A ? s->N : s->K;
}
static inline int product_ldb(const struct product_shape *s)
{
    return s->transpose_B ? s->K : s->M;
}

/* Is there a way of this library that is worth comparing? */
int onednn_can(const struct timed_product *p);
int libxsmm_can(const struct timed_product *p);

/* Once with oneDNN; p->times times with libxsmm, whose code is looked up before. */
void onednn_run(struct timed_product *p);
void libxsmm_run(struct timed_product *p);

/* Release p->onednn. */
void onednn_done(struct timed_product *p);

#endif
