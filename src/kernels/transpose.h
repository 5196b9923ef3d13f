/* SPDX-License-Identifier: Apache-2.0 */
/* transpose.h -- a block of 8 x 8 words is transposed in registers. */
#ifndef TRANSPOSE_H
#define TRANSPOSE_H

#include <stdint.h>

#include "src/kernels/unroll.h"

#define TRANSPOSE_SIDE 8

/* Half of a vector of AVX-512: a vector that is wider than the instruction set's becomes code for
 * single words. */
typedef uint32_t transpose_row __attribute__((vector_size(TRANSPOSE_SIDE * sizeof(uint32_t))));

/* r' of r.  Pairs of words, then of pairs, alternate within the halves of a row, so that a half has
 * four words of a column; then halves of rows 4 apart meet. */
__attribute__((always_inline)) static inline void transpose_registers(transpose_row *r)
{
    transpose_row s[TRANSPOSE_SIDE], t[TRANSPOSE_SIDE];
    UNROLL(8)
    for (int i = 0; i < TRANSPOSE_SIDE; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLL(8)
    for (int i = 0; i < TRANSPOSE_SIDE; i += 4)
        for (int k = 0; k < 2; k++) {
            const transpose_row a = s[i + k], b = s[i + k + 2];
            t[i + 2 * k] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
            t[i + 2 * k + 1] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
        }
    UNROLL(8)
    for (int i = 0; i < TRANSPOSE_SIDE / 2; i++) {
        r[i] = __builtin_shufflevector(t[i], t[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        r[i + 4] = __builtin_shufflevector(t[i], t[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

#endif
