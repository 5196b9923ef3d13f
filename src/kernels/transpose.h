/* transpose.h -- a block of 16 x 16 words is transposed in registers. */
#ifndef TRANSPOSE_H
#define TRANSPOSE_H

#include <stdint.h>
#include <string.h>

#define TRANSPOSE_SIDE 16

typedef uint32_t transpose_row __attribute__((vector_size(TRANSPOSE_SIDE * sizeof(uint32_t))));

/* r' of r.  Four times, row i and row i + 8 become rows 2i and 2i + 1, their elements alternating:
 * every time the highest bit of an element's row becomes the lowest of its column, and the other
 * way round. */
__attribute__((always_inline)) static inline void transpose_registers(transpose_row *r)
{
    transpose_row s[TRANSPOSE_SIDE];
    for (int pass = 0; pass < 4; pass++) {
        for (int i = 0; i < TRANSPOSE_SIDE / 2; i++) {
            s[2 * i] = __builtin_shufflevector(r[i], r[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                               5, 21, 6, 22, 7, 23);
            s[2 * i + 1] = __builtin_shufflevector(r[i], r[i + 8], 8, 24, 9, 25, 10, 26, 11, 27,
                                                   12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(r, s, sizeof s);
    }
}

#endif
