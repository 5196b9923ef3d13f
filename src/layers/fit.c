/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/fit.h"

#include <stdarg.h>
#include <stdio.h>

void fit_must(struct fit *f, struct fit_keys keys, int holds, const char *format, ...)
{
    char what[PATTERN_TEXT + 256];
    va_list ap;

    if (holds) return;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    f->bad++;
    f->complain(f->ctx, keys, what);
}

void fit_heads(struct fit *f, const struct dims *d)
{
    const int C = d->C, H = d->H;

    fit_must(f, KEYS("model.heads", "model.width"), C % H == 0,
             "expected a divisor of model.width (%d), found %d", C, H);
    fit_must(f, KEYS("model.heads", "model.width"), C % H != 0 || C / H % 2 == 0,
             "expected an even head width, model.width / model.heads, found %d / %d = %d", C, H,
             C / H);
}
