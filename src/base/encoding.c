/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/encoding.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"

#define GUESS_BYTES 65536

/* Magic numbers, the longer one first where one begins with another. */
static const struct {
    const char     *magic;
    int             n;
    const char     *ending;  /* of a name, or NULL */
    struct encoding e;
} magics[] = {
    { "\xff\xfe\0\0", 4, NULL, { "UTF-32 text (little-endian)", "iconv -f UTF-32 -t UTF-8", 0 } },
    { "\0\0\xfe\xff", 4, NULL, { "UTF-32 text (big-endian)", "iconv -f UTF-32 -t UTF-8", 0 } },
    { "\xff\xfe", 2, NULL, { "UTF-16 text (little-endian)", "iconv -f UTF-16 -t UTF-8", 0 } },
    { "\xfe\xff", 2, NULL, { "UTF-16 text (big-endian)", "iconv -f UTF-16 -t UTF-8", 0 } },
    { "\x1f\x8b", 2, ".gz", { "a file compressed with gzip", "gzip -dc", 0 } },
    { "\xfd" "7zXZ\0", 6, ".xz", { "a file compressed with xz", "xz -dc", 0 } },
    { "BZh", 3, ".bz2", { "a file compressed with bzip2", "bzip2 -dc", 0 } },
    { "\x04\x22\x4d\x18", 4, ".lz4", { "a file compressed with lz4", "lz4 -dc", 0 } },
    { "\x28\xb5\x2f\xfd", 4, NULL, { "a file compressed with zstd", "zstd -dc", 0 } },
    { "PK\x03\x04", 4, ".zip", { "a zip archive", "funzip", 0 } },
};

static const struct encoding utf16[2] = {  /* without a mark: little-endian, big-endian */
    { "UTF-16 text (little-endian, without a byte order mark)", "iconv -f UTF-16LE -t UTF-8", 0 },
    { "UTF-16 text (big-endian, without a byte order mark)", "iconv -f UTF-16BE -t UTF-8", 0 },
};
static const struct encoding utf32[2] = {
    { "UTF-32 text (little-endian, without a byte order mark)", "iconv -f UTF-32LE -t UTF-8", 0 },
    { "UTF-32 text (big-endian, without a byte order mark)", "iconv -f UTF-32BE -t UTF-8", 0 },
};
static const struct encoding binary = {
    "binary data", NULL, 0
};
static const struct encoding western = {
    "Latin-1 text (ISO 8859-1) or another encoding of one byte a character",
    "iconv -f ISO-8859-1 -t UTF-8", 1
};
static const struct encoding windows = {
    "Windows-1252 text or another encoding of one byte a character",
    "iconv -f WINDOWS-1252 -t UTF-8", 1
};
static const struct encoding national = {
    "text in a national encoding, such as GB18030, Shift_JIS or KOI8-R",
    "iconv -f ENCODING -t UTF-8", 1
};

/* Nearly every group of four is a character, read in one of the two orders. */
static const struct encoding *find_utf32(const unsigned char *p, int64_t n)
{
    int64_t good[2] = { 0, 0 };

    for (int64_t i = 0; i + 4 <= n; i += 4)
        for (int big = 0; big < 2; big++) {
            const unsigned char *q = p + i;
            const uint32_t c = big ? (uint32_t)q[0] << 24 | (uint32_t)q[1] << 16 |
                                     (uint32_t)q[2] << 8 | q[3]
                                   : (uint32_t)q[3] << 24 | (uint32_t)q[2] << 16 |
                                     (uint32_t)q[1] << 8 | q[0];
            good[big] += c > 0 && c < 0x110000;
        }
    for (int big = 0; big < 2; big++)
        if (n >= 8 && 10 * good[big] >= 9 * (n / 4)) return &utf32[big];
    return NULL;
}

/* Valid UTF-8 that is UTF-16: one byte of nearly every pair is small, because most scripts have
 * their characters in U+0000 to U+1FFF; there are zero bytes, all in this place of the pairs. */
static const struct encoding *find_utf16(const unsigned char *p, int64_t n)
{
    int64_t zeros[2] = { 0, 0 }, small[2] = { 0, 0 };  /* in first, in second place */

    for (int64_t i = 0; i + 2 <= n; i += 2)
        for (int k = 0; k < 2; k++) {
            zeros[k] += p[i + k] == 0;
            small[k] += p[i + k] < 0x20;
        }
    for (int big = 0; big < 2; big++) {
        const int high = !big, low = big;
        if (n >= 4 && zeros[high] > 20 * zeros[low] && 4 * small[high] >= 3 * (n / 2) &&
            2 * small[low] < n / 2) return &utf16[big];
    }
    return NULL;
}

/* The same of bytes that are not UTF-8, such as Chinese: characters that every text has. */
static const struct encoding *guess_utf16(const unsigned char *p, int64_t n)
{
    static const uint16_t usual[] = { '\n', '\r', ' ', 'a', 'e', 'i', 'o', 0x3001, 0x3002, 0xff0c };
    int64_t found[2] = { 0, 0 };

    for (int64_t i = 0; i + 2 <= n; i += 2)
        for (size_t u = 0; u < sizeof usual / sizeof *usual; u++) {
            found[0] += (p[i] | p[i + 1] << 8) == usual[u];
            found[1] += (p[i] << 8 | p[i + 1]) == usual[u];
        }
    for (int big = 0; big < 2; big++)
        if (found[big] > 4 * found[!big]) return &utf16[big];
    return NULL;
}

/* Three letters are no proof: a digit follows, then the magic number of a block or of the end. */
static int is_bzip2(const char *p, int64_t n)
{
    return n >= 10 && (memcmp(p + 4, "1AY&SY", 6) == 0 || memcmp(p + 4, "\x17rE8P\x90", 6) == 0);
}

const struct encoding *encoding_of(const char *p, int64_t n)
{
    const struct encoding *found;

    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        if (n < magics[i].n || memcmp(p, magics[i].magic, (size_t)magics[i].n) != 0) continue;
        if (*p == 'B' && !is_bzip2(p, n)) continue;
        return &magics[i].e;
    }
    if (n > ENCODING_LOOK) n = ENCODING_LOOK;
    if (!memchr(p, 0, (size_t)n)) return NULL;  /* most text */
    found = find_utf32((const unsigned char *)p, n);
    return found ? found : find_utf16((const unsigned char *)p, n);
}

const struct encoding *encoding_guess(const char *p, int64_t n, int64_t bad)
{
    const struct encoding *sure = encoding_of(p, n);
    const int64_t from = bad > GUESS_BYTES / 2 ? bad - GUESS_BYTES / 2 : 0;
    const int64_t to = n - from > GUESS_BYTES ? from + GUESS_BYTES : n;
    int64_t letters = 0, high = 0, c1 = 0, whole = 0, wrong = 0, zeros = 0;

    if (sure) return sure;
    for (int64_t i = 0; i < to - from; i++) zeros += p[from + i] == 0;
    if (zeros) {
        const int64_t even = from & ~(int64_t)1;
        sure = guess_utf16((const unsigned char *)p + even, to - even);
        return sure ? sure : 20 * zeros > to - from ? &binary : NULL;
    }
    for (int64_t i = from, length; i < to; i += length) {  /* a character, or a byte that is none */
        const unsigned char b = (unsigned char)p[i];
        const int64_t rest = to - i < 4 ? to - i : 4;
        int bytes = 1;

        letters += b > ' ';
        if (b >= 0x80) {
            high++;
            if (utf8_valid(p + i, rest) > 0) {
                utf8_char(p + i, &bytes);
                whole++;
            } else if ((rest == 4 || to == n) && (i >= from + 4 || from == 0)) {
                wrong++;  /* unless our own window cut it */
                c1 += b < 0xa0;
            }
        }
        length = bytes;
    }
    if (whole >= wrong) return NULL;
    if (5 * high > 2 * letters && high > 8) return &national;
    return c1 ? &windows : &western;
}

const struct encoding *encoding_of_name(const char *path)
{
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const size_t k = magics[i].ending ? strlen(magics[i].ending) : n + 1;
        if (n > k && strcmp(path + n - k, magics[i].ending) == 0) return &magics[i].e;
    }
    return NULL;
}

char *encoding_sentence(const struct encoding *e, int piped)
{
    const char *found = e->guess ? "perhaps" : "found";

    if (!e->command) return mem_format("%s %s", found, e->name);
    if (piped) return mem_format("%s %s; pipe it through a converter: %s | ttt ...", found, e->name,
                                 e->command);
    return mem_format("%s %s; convert it with: %s <OLD >NEW", found, e->name, e->command);
}

char *encoding_complaint(const char *p, int64_t n, int64_t bad, int64_t before, const char *whole,
                         int piped)
{
    const struct encoding *e = encoding_guess(p, n, bad);
    char *found = e ? encoding_sentence(e, piped) : mem_string("");
    char *out = mem_format("not UTF-8: byte 0x%02x at byte %lld of the %s%s%s",
                           (unsigned char)p[bad], (long long)(before + bad), whole, e ? "; " : "",
                           found);
    mem_free(found);
    return out;
}
