/* SPDX-License-Identifier: Apache-2.0 */
/* bf16.h -- numbers of 8 exponent and 7 mantissa bits, and the layouts in which products take
 * them.
 *
 *     rows    first operand (N,K): row-major, each row padded with zeros to a multiple of 32
 *     panels  second operand (K,N): columns in panels of 64, in a panel pairs of rows
 *
 *                 [N/64][K/2][64][2]     K padded to 32, N to 64, with zeros
 *
 * The first operand of dW = dY' X is dY': rows that are made of columns (bf16_transposed).  Panels
 * are what AVX512_BF16 and AMX want, which multiply pairs: 16 of them are a tile (amx.h).  Rounding
 * is to nearest, ties to even; NaN stays NaN.
 */
#ifndef BF16_H
#define BF16_H

#include <stdint.h>
#include <string.h>

#include "src/base/real.h"

typedef uint16_t bf16;

#define BF16_PAIR  32  /* inner lengths are padded to this */
#define BF16_PANEL 64

static inline int bf16_inner(int K) { return (K + BF16_PAIR - 1) / BF16_PAIR * BF16_PAIR; }
static inline int bf16_columns(int N) { return (N + BF16_PANEL - 1) / BF16_PANEL * BF16_PANEL; }

/* Elements of N rows of K, and of panels (K,N). */
static inline int64_t bf16_rows_size(int64_t N, int K) { return N * bf16_inner(K); }
static inline int64_t bf16_panels_size(int K, int N)
{
    return (int64_t)bf16_inner(K) * bf16_columns(N);
}

/* x rounded to bf16, as 16 bits.  Without a branch, so that loops over it vectorise. */
static inline uint32_t bf16_bits(real x)
{
    const float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    const uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : rounded;
}

/* Stochastic rounding of a finite x: up or down so that the mean is x; r uniform in [0, 65536). */
static inline uint32_t bf16_stochastic(real x, uint32_t r)
{
    const float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (u + r) >> 16;
}

static inline float bf16_value(bf16 b)
{
    const uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Rows from x (N,K), whose own rows are ldx apart.  Local; threads inside. */
void bf16_rows(bf16 *to, const real *x, int ldx, int N, int K);

/* For kernels that make rows themselves: n elements of a row and, after its last ones, the zeros
 * that fill it up: n + zeros is then a multiple of 32.  Local. */
void bf16_put(bf16 *to, const real *x, int n, int zeros);

/* Panels of B (K,N), and of B' for B (N,K); B's rows are ldb apart.  Local; threads inside. */
void bf16_panels(bf16 *to, const real *B, int ldb, int K, int N);
void bf16_panels_transposed(bf16 *to, const real *B, int ldb, int K, int N);

/* From rows x (K,N): panels (K,N); and the rows (N,K) of x'.  Local; threads inside. */
void bf16_panels_of_rows(bf16 *to, const bf16 *x, int K, int N);
void bf16_transposed(bf16 *to, const bf16 *x, int K, int N);

#endif
