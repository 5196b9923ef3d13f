/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/frame.h"

#include <string.h>
#include <zstd.h>

struct frame frame_look(const char *p, int64_t n)
{
    static const unsigned char magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
    static const unsigned char skip[3] = { 0x2a, 0x4d, 0x18 };
    const size_t there = n < 4 ? (size_t)n : 4;
    struct frame f = { FRAME_NONE, 0, -1 };

    if (n == 0) return f;
    if (((unsigned char)p[0] & 0xf0) == 0x50 && memcmp(p + 1, skip, there - 1) == 0)
        f.kind = FRAME_SKIPPED;
    if (memcmp(p, magic, there) != 0) return f;
    f.kind = FRAME_ZSTD;
    if (n < 6) return f;

    const unsigned long long content = ZSTD_getFrameContentSize(p, (size_t)n);
    if (content < ZSTD_CONTENTSIZE_ERROR) f.content = content > INT64_MAX ? INT64_MAX
                                                                          : (int64_t)content;
    const int one_segment = (unsigned char)p[4] >> 5 & 1;
    if (one_segment) {
        f.window = f.content < 0 ? 0 : f.content;
    } else {
        const unsigned char b = (unsigned char)p[5];
        const int64_t base = (int64_t)1 << (10 + (b >> 3));
        f.window = base + base / 8 * (b & 7);
        if (f.content >= 0 && f.content < f.window) f.window = f.content;
    }
    return f;
}
