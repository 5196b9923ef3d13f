/* smm_bf16.h -- small products with bf16 operands and fp32 sums, for the inner loop.
 *
 * Operands are made of words: two bf16 numbers that stand beside each other along the inner length
 * K of the product, the first one in the low half; a zero behind an odd K.
 *
 *     rows     (M,K) -> [M][K/2]      a first operand
 *     columns  (K,N) -> [K/2][N]      a second operand, or a first one that is turned
 *
 * With AVX512_BF16 (kernels/isa.h) an instruction adds both products of a word; else plain C does,
 * smm_bf16_ref, also the one that tests compare with.  Rounding is to nearest, ties to even; the
 * instructions take subnormal numbers for zero.  Everything is contiguous, local, one thread.
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
void smm_bf16_columns_turned(bf16_word *to, const real *x, int N, int K, bf16_word *work);

/* C (M,N) = from + A B; from may be C, NULL: zeros.  A: rows of A, or, when `turned`, columns of
 * A' (K,M). */
void smm_bf16(real *C, const real *from, const bf16_word *A, int turned, const bf16_word *B, int M,
              int N, int K);
void smm_bf16_ref(real *C, const real *from, const bf16_word *A, int turned, const bf16_word *B,
                  int M, int N, int K);

#endif
