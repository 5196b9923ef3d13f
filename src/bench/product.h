/* SPDX-License-Identifier: Apache-2.0 */
/* product.h -- a matrix product by everything in this program that can make it: our own code and
 * the libraries, on the same operands.
 *
 *     C (N,M) = A B,  A (N,K) or stored as A' (K,N),  B (K,M) or stored as B' (M,K)
 *
 * Operands of bf16 products are rounded and laid out before the clock starts, as a step rounds its
 * weights once.  Everything is local.
 */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "src/kernels/gemm_bf16.h"
#include "src/kernels/smm_bf16.h"

/* OURS is what the program calls for such a product. */
enum product_by { OURS, ONEDNN, LIBXSMM, OPENBLAS, PRODUCT_WAYS };

struct product_shape {
    int N, M, K;
    int transpose_A, transpose_B;
    int in_bf16;
    int small;                    /* of the inner loop: one thread, both operands in the cache */
};

struct timed_product {
    struct product_shape s;
    real      *C, *A, *B;
    bf16      *rows, *panels;     /* in_bf16           */
    bf16_word *words_A, *words_B; /* in_bf16 and small */
    void      *onednn;            /* its primitive     */
    int        times;             /* that a run makes it: what takes microseconds is repeated
                                   * between two looks at the clock */
};

/* C, A, B: from elsewhere, long enough, with numbers in (-1, 1); C becomes the result.
 * product_done() leaves them. */
void product_init(struct timed_product *p, const struct product_shape *s, real *C, real *A,
                  real *B);
void product_done(struct timed_product *p);

const char *product_by_name(enum product_by by);

/* Can it be made so, in a way that is worth comparing? */
int product_can(const struct timed_product *p, enum product_by by);

/* Make it p->times times, by as many threads as OpenMP has; a small one by one thread.
 * product_flops() counts what was done. */
void product_run(struct timed_product *p, enum product_by by);
double product_flops(const struct timed_product *p);

/* Make it once, and compare elements spread over C with sums in double.
 * returns OK or ERR_DATA, reported */
int product_verify(struct timed_product *p, enum product_by by);

#endif
