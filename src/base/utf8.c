/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/utf8.h"

#include <stdio.h>
#include <string.h>

/* Length of the valid character at p, of which n bytes are there; 0 if none. */
static int64_t valid_char(const unsigned char *p, int64_t n)
{
    const unsigned char a = p[0];
    if (a < 0x80) return 1;
    const int length = a < 0xc2 ? 0 : a < 0xe0 ? 2 : a < 0xf0 ? 3 : a < 0xf5 ? 4 : 0;
    if (length == 0 || length > n) return 0;
    for (int i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (a == 0xe0 && p[1] < 0xa0) return 0;  /* overlong   */
    if (a == 0xed && p[1] > 0x9f) return 0;  /* surrogates */
    if (a == 0xf0 && p[1] < 0x90) return 0;  /* overlong   */
    if (a == 0xf4 && p[1] > 0x8f) return 0;  /* > U+10FFFF */
    return length;
}

int64_t utf8_valid(const char *text, int64_t n)
{
    int64_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= 8) {  /* most text is plain ASCII */
            memcpy(&eight, text + i, 8);
            if ((eight & 0x8080808080808080ULL) == 0) {
                i += 8;
                continue;
            }
        }
        const int64_t length = valid_char((const unsigned char *)text + i, n - i);
        if (length == 0) return i;
        i += length;
    }
    return n;
}

int64_t utf8_mark(const char *text, int64_t n)
{
    return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

uint32_t utf8_char(const char *text, int *length)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return *length = 1, p[0];
    if (p[0] < 0xe0) return *length = 2, (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (p[0] < 0xf0)
        return *length = 3, (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return *length = 4, (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 |
                        (p[3] & 0x3fu);
}

static int is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* What stands for the first character of a text; its own length [out]. */
static size_t spell(char out[16], const char *text, int *length)
{
    const unsigned char *p = (const unsigned char *)text;

    if (!valid_char(p, (int64_t)strnlen(text, 4))) {
        *length = 1;
        return (size_t)snprintf(out, 16, "\\x%02x", *p);
    }
    const uint32_t c = utf8_char(text, length);
    if (!is_control(c)) {
        memcpy(out, text, (size_t)*length);
        return (size_t)*length;
    }
    const char *letter = c < 0x20 ? strchr("\nn\rr\tt", (int)c) : NULL;
    if (letter) return (size_t)snprintf(out, 16, "\\%c", letter[1]);
    return (size_t)snprintf(out, 16, c < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)c);
}

size_t utf8_visible(char *out, size_t room, const char *text)
{
    size_t whole = 0, used = 0, cut = 0;   /* cut: where "..." has room */
    int length = 0;

    for (; *text; text += length) {
        char spelt[16];
        const size_t n = spell(spelt, text, &length);
        if (whole == used && used + n < room) {
            memcpy(out + used, spelt, n);
            used += n;
            if (used + sizeof "..." <= room) cut = used;
        }
        whole += n;
    }
    out[used] = '\0';
    if (whole > used) strcpy(out + cut, "...");
    return whole;
}
