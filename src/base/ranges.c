/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/ranges.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"

/* Read a number at *s and move *s after it; -1: there is none. */
static int64_t number(const char **s)
{
    int64_t x;
    const char *end = **s >= '0' && **s <= '9' ? text_whole(&x, *s) : NULL;
    if (!end) return -1;
    *s = end;
    return x < RANGES_LARGEST ? x : -1;
}

int ranges_parse(struct ranges *r, const char *text)
{
    r->n = 0;
    while (*text) {
        const int64_t first = number(&text);
        int64_t last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = number(&text);
        }
        if (first < 0 || last < first || !ranges_add(r, first, last + 1)) return 0;
        if (*text == ',' && text[1]) text++;
        else if (*text) return 0;
    }
    return 1;
}

const char *ranges_show(char out[RANGES_TEXT], const struct ranges *r)
{
    int n = 0;
    out[0] = '\0';
    for (int i = 0; i < r->n; i++)
        n += snprintf(out + n, (size_t)(RANGES_TEXT - n), "%s%" PRId64 "-%" PRId64, i ? "," : "",
                      r->r[i].lo, r->r[i].hi - 1);
    return out;
}

int ranges_add(struct ranges *r, int64_t lo, int64_t hi)
{
    int i = 0, k;

    if (lo >= hi) return 1;
    while (i < r->n && r->r[i].hi < lo) i++;
    for (k = i; k < r->n && r->r[k].lo <= hi; k++) {  /* these become one */
        if (r->r[k].lo < lo) lo = r->r[k].lo;
        if (r->r[k].hi > hi) hi = r->r[k].hi;
    }
    if (k == i && r->n == RANGES_MAX) return 0;
    memmove(&r->r[i + 1], &r->r[k], (size_t)(r->n - k) * sizeof *r->r);
    r->n += 1 - (k - i);
    r->r[i].lo = lo;
    r->r[i].hi = hi;
    return 1;
}

int64_t ranges_nth_outside(const struct ranges *r, int64_t from, int64_t k)
{
    for (int i = 0; i < r->n; i++) {
        if (r->r[i].hi <= from) continue;
        const int64_t before = r->r[i].lo > from ? r->r[i].lo - from : 0;
        if (k < before) break;
        k -= before;
        from = r->r[i].hi;
    }
    return from + k;
}
