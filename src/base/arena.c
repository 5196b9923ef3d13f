/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/arena.h"

#include "src/base/mem.h"
#include "src/base/status.h"

void arena_plan(struct arena *a) { *a = (struct arena){ .size = INT64_MAX }; }

void arena_init(struct arena *a, int64_t bytes, const char *what)
{
    *a = (struct arena){ .base = mem_new(bytes, 1, what), .size = bytes };
}

void arena_done(struct arena *a)
{
    mem_free(a->base);
    *a = (struct arena){ 0 };
}

void *arena_bytes(struct arena *a, int64_t n)
{
    check(n >= 0);
    const int64_t whole = (n + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    if (whole > a->size - a->used)
        die("arena of %lld bytes is full: %lld are used, %lld more are needed", (long long)a->size,
            (long long)a->used, (long long)whole);
    char *p = a->base ? a->base + a->used : NULL;
    a->used += whole;
    if (a->used > a->peak) a->peak = a->used;
    return p;
}

real *arena_reals(struct arena *a, int64_t n)
{
    return arena_bytes(a, n * (int64_t)sizeof(real));
}

int64_t arena_mark(const struct arena *a) { return a->used; }

void arena_reset(struct arena *a, int64_t mark)
{
    check(mark <= a->used);
    a->used = mark;
}
