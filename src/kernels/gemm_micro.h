/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_micro.h -- the innermost part of a product (gemm.h): a tile of C in registers, summed over a
 * block of k.  One for each instruction set, with equal results.
 *
 *     a    a few rows of A, copied, in one of two layouts:
 *              ALONG    row i, number k at a[i * GEMM_MICRO_ROW + k]   of A (N,K)
 *              ACROSS   row i, number k at a[k * rows + i]             of A' (K,N)
 *     b    a panel of B: number k of column j at b[k * columns + j]
 *     C    (n,columns), rows ldc apart
 */
#ifndef GEMM_MICRO_H
#define GEMM_MICRO_H

#include "src/kernels/gemm.h"
#include "src/kernels/isa.h"

/* A row is longer than a block, so that the same number of all rows does not fall into one set of
 * the cache. */
#define GEMM_MICRO_ROW (GEMM_BLOCK + ALIGN_BYTES / (int)sizeof(real))

#define GEMM_MICRO_ROWS    16  /* no micro-kernel has more */
#define GEMM_MICRO_COLUMNS 48  /* a multiple of the columns of all */

enum gemm_layout { GEMM_ALONG, GEMM_ACROSS };

/* Rows of a: number k of row i is at at[i * down + k * along].  Passed by value to functions that
 * are always inlined: where down or along is a constant, addresses stay displacements. */
struct gemm_micro_rows { const real *at; int64_t down, along; };

/* C = or += sums over k < K <= GEMM_BLOCK of a_ik b_kj.  next: K reals that will be read soon, any
 * address; they may be prefetched. */
typedef void gemm_micro_fn(real *C, int64_t ldc, const real *a, const real *b, int K, int add,
                           const real *next);

struct gemm_micro {
    int rows, columns;                           /* of the largest tile                */
    int move;                                    /* numbers that a copy ACROSS moves at once,
                                                  * >= rows: what is too much of them is
                                                  * overwritten by the next move       */
    gemm_micro_fn *f[2][GEMM_MICRO_ROWS];        /* [enum gemm_layout][rows of C - 1]  */
};

/* The micro-kernels of an instruction set, or of the best set below it that has some.  Local. */
const struct gemm_micro *gemm_micro(enum isa isa);

#endif
