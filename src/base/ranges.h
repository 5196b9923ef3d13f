/* SPDX-License-Identifier: Apache-2.0 */
/* ranges.h -- a set of whole numbers from 0, as few ranges.
 *
 *     "5120-6143,9000"       what a person writes: first and last of each
 */
#ifndef RANGES_H
#define RANGES_H

#include <stdint.h>

#define RANGES_MAX 64
#define RANGES_LARGEST ((int64_t)1 << 60)  /* numbers are smaller: sums of two do not overflow */
#define RANGES_TEXT (RANGES_MAX * 40 + 1)

/* Sorted; ranges do not touch, and none is empty. */
struct ranges {
    int n;
    struct { int64_t lo, hi; } r[RANGES_MAX];  /* lo <= x < hi */
};

/* Read a list such as the one above.  Local.
 * returns 1, or 0 if the text is not one ("" is the empty list) */
int ranges_parse(struct ranges *r, const char *text);

/* The text of r.  Returns out. */
const char *ranges_show(char out[RANGES_TEXT], const struct ranges *r);

/* Add lo <= x < hi.  returns 1, or 0 if there are too many ranges already. */
int ranges_add(struct ranges *r, int64_t lo, int64_t hi);

/* The k-th number >= from that is in no range; k counts from 0. */
int64_t ranges_nth_outside(const struct ranges *r, int64_t from, int64_t k);

#endif
