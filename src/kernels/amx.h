/* SPDX-License-Identifier: Apache-2.0 */
/* amx.h -- products of tiles: AMX of Intel's processors from Sapphire Rapids on.
 *
 * A thread has eight tiles, each of 16 rows of 64 bytes: 16 x 16 sums in fp32, or 16 rows of 16
 * words.  A word holds two bf16 numbers that are neighbours along the inner length K, the first one
 * in the low half (smm_bf16.h, and the rows and panels of bf16.h).  One instruction adds to sums
 * the product of a tile of a first operand, [row][word], and one of a second, [word][column].  For
 * an element of the result, and the 32 numbers a_k, b_k of its row and column,
 *
 *     e = fma(a_k, b_k, ... fma(a_0, b_0, 0)),  k = 0, 2, ... 30;  o the same for odd k
 *     c = c + (e + o)                                                             [E49]
 *
 * where everything is rounded to nearest, ties to even, numbers below the smallest normal one are
 * taken for zero, and results below it become zero (Intel, "Software Developer's Manual",
 * TDPBF16PS; amx_dot_ref below).  The instructions need a permission of the kernel (Linux 5.16),
 * once for all threads.
 *
 * Everything here is local, on the calling thread.
 */
#ifndef AMX_H
#define AMX_H

#include <stdint.h>

enum { AMX_SIDE = 16 };  /* rows, columns, and words of K */
enum { AMX_BLOCK = 2 * AMX_SIDE };

/* Have processor and kernel tiles, and does a product have the bits of amx_dot_ref()?  Not where
 * `real` is double.  Asks for the permission. */
int amx_usable(void);

/* For tests: the instructions are emulated (tests/lib/amx_emulator.h), so processor and kernel
 * need not be asked.  Before the first amx_usable(). */
void amx_is_emulated(void);

/* Tiles of this thread are configured until amx_end(), which makes them cost nothing again: a
 * context switch saves 8 KiB of configured ones.  A begin after a begin costs a comparison (about
 * 20 cycles; loading a configuration costs 200), so small products leave them configured until the
 * next dense one ends. */
void amx_begin(void);
void amx_end(void);

/* A block of at most 32 rows and 32 columns: C = from + A B.  The operands consist of whole tiles,
 * filled up with zeros; only as much of C and `from` is touched as there is.  Distances from row
 * to row are in words. */
struct amx_block {
    float          *C;              /* (rows,columns)                            */
    const float    *from;           /* as far apart as C; may be C; NULL: zeros  */
    const uint32_t *A, *B;
    int64_t         ldc, lda, ldb;
    int             rows, columns;
    int             steps;          /* of 16 words of K                          */
};
void amx_block(const struct amx_block *b);

/* [E49] in plain C: C (rows,columns) += A (rows,words) B (words,columns), where a row begins 16
 * words after the one before.  At most 16 of each. */
void amx_dot_ref(float *C, const uint32_t *A, const uint32_t *B, int rows, int columns, int words);

#endif
