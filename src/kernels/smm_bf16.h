/* smm_bf16.h -- small products with bf16 operands and fp32 sums, for the inner loop.
 *
 * Operands are made of words: two bf16 numbers that stand beside each other along the inner length
 * K of the product, the first one in the low half; a zero behind an odd K.
 *
 *     rows     (M,K) -> [M][K/2]      a first operand
 *     columns  (K,N) -> [K/2][N]      a second operand, or a first one (N,K), transposed
 *
 * With AVX512_BF16 (kernels/isa.h) an instruction adds both products of a word; else plain C does,
 * smm_bf16_ref, also the one that tests compare with.  Rounding is to nearest, ties to even; the
 * instructions take subnormal numbers for zero.  Everything is local, one thread, and contiguous but
 * for first operands, which may be parts.
 */
#ifndef SMM_BF16_H
#define SMM_BF16_H

#include "src/base/real.h"

typedef uint32_t bf16_word;

static inline int bf16_words(int K) { return (K + 1) / 2; }

/* Rows of x (M,K); columns of x (K,N); both of one x, a second operand and a first one. */
void smm_bf16_rows(bf16_word *to, const real *x, int M, int K);
void smm_bf16_columns(bf16_word *to, const real *x, int K, int N);
void smm_bf16_both(bf16_word *rows, bf16_word *columns, const real *x, int K, int N);

/* Columns of x' with x (N,K).  work: as large as `to`. */
void smm_bf16_columns_transposed(bf16_word *to, const real *x, int N, int K, bf16_word *work);

/* A first operand (M,K): word k of row m is w[m * down + k * along]. */
struct bf16_left { const bf16_word *w; int64_t down, along; };

/* Rows, `words` words from one to the next; and what columns are columns of, transposed: M of the n
 * numbers in one. */
static inline struct bf16_left bf16_left_rows(const bf16_word *w, int words)
{
    return (struct bf16_left){ w, words, 1 };
}

static inline struct bf16_left bf16_left_transposed(const bf16_word *w, int n)
{
    return (struct bf16_left){ w, 1, n };
}

/* C (M,N) = from + A B; from may be C, NULL: zeros. */
void smm_bf16(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
              int K);
void smm_bf16_ref(real *C, const real *from, struct bf16_left A, const bf16_word *B, int M, int N,
                  int K);

#endif
