/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h -- temporary memory of a step: allocated once, then handed out by
 * moving an offset.
 *
 * The same code runs twice: over an arena without memory (arena_plan) it only
 * counts, and the count is the size of the real one.  So a prediction of
 * memory and the memory itself can't disagree.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdint.h>

#include "src/base/real.h"

struct arena {
    char *base;           /* NULL while planning; owned               */
    int64_t used, peak;   /* bytes                                    */
    int64_t size;         /* bytes; INT64_MAX while planning          */
};

/* An arena that only counts; its peak is the answer. */
void arena_plan(struct arena *a);

/* An arena of `bytes`; release with arena_done(). */
void arena_init(struct arena *a, int64_t bytes, const char *what);
void arena_done(struct arena *a);

/* n reals (bytes), aligned, not zeroed; NULL while planning.  More than the plan
 * counted is a bug and ends the program. */
real *arena_reals(struct arena *a, int64_t n);
void *arena_bytes(struct arena *a, int64_t n);

/* The present position; and back to it, which releases what was handed out since. */
int64_t arena_mark(const struct arena *a);
void arena_reset(struct arena *a, int64_t mark);

#endif
