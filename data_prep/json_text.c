/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/json_text.h"

#include <string.h>

#define ONES 0x0101010101010101ULL
#define TOPS 0x8080808080808080ULL

/* Not zero if one of the eight bytes is zero; below `limit`, which is at most 128. */
static uint64_t has_zero(uint64_t x) { return (x - ONES) & ~x & TOPS; }
static uint64_t has_less(uint64_t x, uint64_t limit) { return (x - ONES * limit) & ~x & TOPS; }

int64_t json_plain(const char *p, const char *end)
{
    const char *begin = p;

    for (uint64_t x; end - p >= 8; p += 8) {
        memcpy(&x, p, 8);
        if (has_zero(x ^ ONES * '"') | has_zero(x ^ ONES * '\\') | has_less(x, 0x20)) break;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    return p - begin;
}

/* The value of four hexadecimal digits; -1 if they are not. */
static int32_t hex(const char *p, const char *end)
{
    int32_t x = 0;

    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        const int digit = c >= '0' && c <= '9' ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return -1;
        x = 16 * x + digit;
    }
    return x;
}

static char *put(char *out, int32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* Read what follows a backslash at *p, and move *p to its end.  An escape is never shorter than
 * what it stands for. */
static const char *escape(const char **p, const char *end, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *q = *p;
    const char *known = q < end && *q ? strchr(names, *q) : NULL;

    if (known) {
        *(*out)++ = values[known - names];
        *p = q + 1;
        return NULL;
    }
    int32_t c = q < end && *q == 'u' ? hex(q + 1, end) : -2;
    if (c < 0) return c == -1 ? "\\u without four hexadecimal digits" : "an unknown escape";
    q += 5;
    if (c >= 0xdc00 && c < 0xe000) return "half a surrogate pair";
    if (c >= 0xd800 && c < 0xdc00) {
        const int32_t low = end - q >= 6 && q[0] == '\\' && q[1] == 'u' ? hex(q + 2, end) : -1;
        if (low < 0xdc00 || low >= 0xe000) return "half a surrogate pair";
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        q += 6;
    }
    *out = put(*out, c);
    *p = q;
    return NULL;
}

const char *json_text(char *out, int64_t *out_n, const char *raw, int64_t n, int64_t *bad)
{
    const char *end = raw + n, *begin = out, *why = NULL;

    for (const char *p = raw; p < end && !why;) {
        const int64_t plain = json_plain(p, end);
        memcpy(out, p, (size_t)plain);
        out += plain;
        p += plain;
        if (p == end) break;
        *bad = p - raw;
        if (*p == '\\') {
            p++;
            why = escape(&p, end, &out);
        } else why = *p == '"' ? "a quote" : "a control character, which JSON writes as an escape";
    }
    *out_n = out - begin;
    return why;
}
