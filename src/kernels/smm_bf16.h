/* SPDX-License-Identifier: Apache-2.0 */
/* smm_bf16.h -- small mixed-precision products: bf16 operands, fp32 sums; for the inner loop and
 * for attention.
 *
 * An operand is made of words.  A word holds two bf16 numbers that are neighbours along the inner
 * length K of the product, the first one in the low 16 bits; if K is odd, the last word's second
 * number is zero.
 *
 *     rows     (M,K) -> [M][K/2]      a first operand
 *     columns  (K,N) -> [K/2][N]      a second operand; or the first operand (N,K) x', transposed
 *
 * With AVX512_BF16 (isa.h) one instruction multiplies both pairs of a word and adds them, with AMX
 * products are made of tiles (smm_bf16_tiles.h); elsewhere plain C does the same (smm_bf16_ref,
 * which tests compare with).  Rounding is to nearest, ties to
 * even; the instructions take subnormal numbers for zero.  Everything is local, on the calling
 * thread, and contiguous except first operands, which may be parts of larger arrays.
 */
#ifndef SMM_BF16_H
#define SMM_BF16_H

#include "src/base/real.h"

typedef uint32_t bf16_word;

static inline int bf16_words(int K) { return (K + 1) / 2; }

/* Operands from reals: rows of x (M,K); columns of x (K,N); both of one x (K,N), which is a first
 * operand in one product and a second operand in another. */
void smm_bf16_rows(bf16_word *to, const real *x, int M, int K);
void smm_bf16_columns(bf16_word *to, const real *x, int K, int N);
void smm_bf16_both(bf16_word *rows, bf16_word *columns, const real *x, int K, int N);

/* Columns of x' for x (N,K).  work: as many words as `to`. */
void smm_bf16_columns_transposed(bf16_word *to, const real *x, int N, int K, bf16_word *work);

/* A first operand (M,K): word k of row m is w[m * down + k * along]. */
struct bf16_left { const bf16_word *w; int64_t down, along; };

/* The first operand that rows are, with `words` words from one row to the next. */
static inline struct bf16_left bf16_left_rows(const bf16_word *w, int words)
{
    return (struct bf16_left){ w, words, 1 };
}

/* The first operand x' (M,K), where w are the columns of an x (K,n).  M may be less than n: w then
 * begins at the first of the M columns that are wanted. */
static inline struct bf16_left bf16_left_transposed(const bf16_word *w, int n)
{
    return (struct bf16_left){ w, 1, n };
}

/* C (M,N) = from + A B, for a first operand A (M,K) and a second one B (K,N).  `from` may be C;
 * NULL means zeros.  2 M N K flops. */
void smm_bf16(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
              int K);
void smm_bf16_ref(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
                  int K);

#endif
