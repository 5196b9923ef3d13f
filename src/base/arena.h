/* arena.h -- scratch memory of a step: planned once, then handed out by
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

/* n reals on a boundary, not zeroed; NULL while planning.  Too much is a bug
 * of the plan, so it dies. */
real *arena_reals(struct arena *a, int64_t n);
void *arena_bytes(struct arena *a, int64_t n);

/* Where we are, and back to it: everything handed out since is released. */
int64_t arena_mark(const struct arena *a);
void arena_reset(struct arena *a, int64_t mark);

#endif
