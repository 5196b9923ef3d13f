/* SPDX-License-Identifier: Apache-2.0 */
/* shuffle.h -- byte planes: the first bytes of all elements, then the second
 * ones, and so on.
 *
 *     a0 a1 a2 a3 b0 b1 b2 b3 ...   ->   a0 b0 ... a1 b1 ... a2 b2 ... a3 b3 ...
 *
 * Sign and exponent of neighbouring floats are alike and compress; mixed with
 * mantissas they do not.
 */
#ifndef SHUFFLE_H
#define SHUFFLE_H

#include <stdint.h>

/* dst = planes of src, n elements of `size` bytes (1, 2, 4, 8); and back.  No overlap. */
void shuffle(void *dst, const void *src, int64_t n, int size);
void unshuffle(void *dst, const void *src, int64_t n, int size);

#endif
