/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/text.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"

#define LONGEST 128

static const char *digits(const char *p)
{
    while (*p >= '0' && *p <= '9') p++;
    return p;
}

static const char *sign(const char *p) { return *p == '+' || *p == '-' ? p + 1 : p; }

/* Digits that somebody may have meant as octal: 010. */
static int octal(const char *start, const char *end) { return *start == '0' && end - start > 1; }

const char *text_whole(int64_t *out, const char *text)
{
    const char *start = sign(text), *end = digits(start);
    if (end == start || octal(start, end)) return NULL;
    errno = 0;
    const long long x = strtoll(text, NULL, 10);
    if (errno) return NULL;
    *out = x;
    return end;
}

int text_int(int64_t *out, const char *text)
{
    int64_t x;
    const char *end = text_whole(&x, text);
    if (!end || *end) return 0;
    *out = x;
    return 1;
}

int text_double(double *out, const char *text)
{
    const char *start = sign(text), *p = digits(start);
    int mantissa = p > start;

    if (octal(start, p)) return 0;
    if (*p == '.') {
        const char *fraction = ++p;
        p = digits(p);
        mantissa |= p > fraction;
    }
    if (!mantissa) return 0;
    if (*p == 'e' || *p == 'E') {
        const char *exponent = sign(p + 1);
        p = digits(exponent);
        if (p == exponent) return 0;
    }
    if (*p) return 0;
    errno = 0;
    const double x = strtod(text, NULL);
    /* A number too small for a double would silently become 0. */
    if (!isfinite(x) || (errno == ERANGE && x == 0)) return 0;
    *out = x;
    return 1;
}

void text_of_double(char out[TEXT_DOUBLE], double x)
{
    if (fabs(x) < 1e15 && x == floor(x)) {  /* 10000, not 1e+04 */
        snprintf(out, TEXT_DOUBLE, "%.0f", x);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(out, TEXT_DOUBLE, "%.*g", precision, x);
        if (strtod(out, NULL) == x) return;
    }
}

const char *text_visible(const char *text)
{
    enum { TEXTS = 8, ROOM = 2048 };
    static _Thread_local char shown[TEXTS][ROOM];
    static _Thread_local int last;

    last = (last + 1) % TEXTS;
    return utf8_visible(shown[last], ROOM, text) == strlen(text) ? text : shown[last];
}

char *text_visible_copy(const char *text)
{
    char few[8];
    const size_t room = utf8_visible(few, sizeof few, text) + sizeof few;
    char *copy = mem_new((int64_t)room, 1, "visible text");
    (void)utf8_visible(copy, room, text);
    return copy;
}

char *text_repair(const char *text)
{
    int64_t n = (int64_t)strlen(text);
    char *out = mem_new(3 * n + 1, 1, "text"), *p = out;

    while (n > 0) {
        const int64_t good = utf8_valid(text, n);
        memcpy(p, text, (size_t)good);
        p += good;
        if (good < n) p = stpcpy(p, "\xef\xbf\xbd");
        text += good + (good < n);
        n -= good + (good < n);
    }
    return out;
}

static int min2(int a, int b) { return a < b ? a : b; }

int text_distance(const char *a, const char *b)
{
    const int m = (int)strnlen(a, LONGEST + 1), n = (int)strnlen(b, LONGEST + 1);
    int row[3][LONGEST + 1];  /* row i % 3: distances of a[0, i) to every b[0, j) */

    if (m > LONGEST || n > LONGEST) return INT_MAX;
    for (int j = 0; j <= n; j++) row[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = row[i % 3];
        const int *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            now[j] = min2(min2(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min2(now[j], before[j - 2] + 1);
        }
    }
    return row[m % 3][n];
}

void nearest_try(struct nearest *n, const char *candidate)
{
    const int limit = 1 + (int)strnlen(n->to, LONGEST) / 4;
    const int d = text_distance(n->to, candidate);
    if (d > limit || (n->best && d >= n->distance)) return;
    n->best = candidate;
    n->distance = d;
}
