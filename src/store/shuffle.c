#include "src/store/shuffle.h"

#include <string.h>

#include "src/base/real.h"
#include "src/base/status.h"

/* One loop per element size: with a constant stride the compiler vectorises it. */
#define PLANES(name, size)                                                                 \
    CLONES static void split_##name(uint8_t *restrict dst, const uint8_t *restrict src,    \
                                    int64_t n)                                             \
    {                                                                                      \
        for (int p = 0; p < (size); p++)                                                   \
            for (int64_t i = 0; i < n; i++) dst[p * n + i] = src[i * (size) + p];          \
    }                                                                                      \
    CLONES static void merge_##name(uint8_t *restrict dst, const uint8_t *restrict src,    \
                                    int64_t n)                                             \
    {                                                                                      \
        for (int64_t i = 0; i < n; i++)                                                    \
            for (int p = 0; p < (size); p++) dst[i * (size) + p] = src[p * n + i];         \
    }

PLANES(2, 2)
PLANES(4, 4)
PLANES(8, 8)

void shuffle(void *dst, const void *src, int64_t n, int size)
{
    if (n == 0) return;
    switch (size) {
    case 1: memcpy(dst, src, (size_t)n); break;
    case 2: split_2(dst, src, n); break;
    case 4: split_4(dst, src, n); break;
    case 8: split_8(dst, src, n); break;
    default: die("no byte planes of %d bytes", size);
    }
}

void unshuffle(void *dst, const void *src, int64_t n, int size)
{
    if (n == 0) return;
    switch (size) {
    case 1: memcpy(dst, src, (size_t)n); break;
    case 2: merge_2(dst, src, n); break;
    case 4: merge_4(dst, src, n); break;
    case 8: merge_8(dst, src, n); break;
    default: die("no byte planes of %d bytes", size);
    }
}
