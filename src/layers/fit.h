/* SPDX-License-Identifier: Apache-2.0 */
/* fit.h -- check whether a model of these dims is possible.  Every rule is written once, here and
 * in the layers' fits(), for files and for configurations: errors are passed to a function of the
 * caller, which knows the place of the value.
 */
#ifndef FIT_H
#define FIT_H

#include "src/layers/dims.h"

/* The keys of a configuration that a rule is about, as "model.heads".  The first has the wrong
 * value. */
#define FIT_KEYS 4
struct fit_keys { const char *path[FIT_KEYS]; };
#define KEYS(...) ((struct fit_keys){ { __VA_ARGS__ } })

struct fit {
    /* what: "expected a divisor of model.width (64), found 5" */
    void (*complain)(void *ctx, struct fit_keys keys, const char *what);
    void  *ctx;
    int    bad;   /* rules that do not hold */
};

/* A rule: complain unless it holds. */
void fit_must(struct fit *f, struct fit_keys keys, int holds, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Heads of width C / H: H divides C, and the width is even, for rotary positions. */
void fit_heads(struct fit *f, const struct dims *d);

/* All rules.  d: as a file or a configuration says them, before pattern_trim().  Local.
 * f  [in,out] bad is 0 afterwards if a model of these dims can be made */
void fit_dims(struct fit *f, const struct dims *d);

#endif
