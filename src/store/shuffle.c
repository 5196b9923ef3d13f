/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/shuffle.h"

#include <string.h>

#include "src/base/real.h"
#include "src/base/status.h"

/* One loop per element size: with a constant stride the compiler vectorises it. */
__attribute__((always_inline))
static inline void split_planes(uint8_t *restrict dst, const uint8_t *restrict src, int64_t n,
                                int size)
{
    for (int p = 0; p < size; p++)
        for (int64_t i = 0; i < n; i++) dst[p * n + i] = src[i * size + p];
}

__attribute__((always_inline))
static inline void merge_planes(uint8_t *restrict dst, const uint8_t *restrict src, int64_t n,
                                int size)
{
    for (int64_t i = 0; i < n; i++)
        for (int p = 0; p < size; p++) dst[i * size + p] = src[p * n + i];
}

CLONES
static void split(uint8_t *restrict dst, const uint8_t *restrict src, int64_t n, int size)
{
    switch (size) {
    case 2: split_planes(dst, src, n, 2); break;
    case 4: split_planes(dst, src, n, 4); break;
    default: split_planes(dst, src, n, 8);
    }
}

CLONES
static void merge(uint8_t *restrict dst, const uint8_t *restrict src, int64_t n, int size)
{
    switch (size) {
    case 2: merge_planes(dst, src, n, 2); break;
    case 4: merge_planes(dst, src, n, 4); break;
    default: merge_planes(dst, src, n, 8);
    }
}

static void check_size(int size)
{
    if (size != 1 && size != 2 && size != 4 && size != 8) die("no byte planes of %d bytes", size);
}

void shuffle(void *dst, const void *src, int64_t n, int size)
{
    check_size(size);
    if (n == 0) return;
    if (size == 1) memcpy(dst, src, (size_t)n);
    else split(dst, src, n, size);
}

void unshuffle(void *dst, const void *src, int64_t n, int size)
{
    check_size(size);
    if (n == 0) return;
    if (size == 1) memcpy(dst, src, (size_t)n);
    else merge(dst, src, n, size);
}
