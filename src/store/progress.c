/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "src/base/human.h"

/* Append to the line; what does not fit is cut. */
__attribute__((format(printf, 3, 4)))
static void add(char text[PROGRESS_LINE], int *n, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    if (*n < PROGRESS_LINE)
        *n += vsnprintf(text + *n, (size_t)(PROGRESS_LINE - *n), format, ap);
    va_end(ap);
}

void progress_line(char text[PROGRESS_LINE], const struct progress *p)
{
    char t[HUMAN_TEXT];
    int n = 0;

    add(text, &n, "step %lld/%lld  loss %.4f  ppl %.4g  %.*f tok/s  mfu %.1f %%  "
        "grad %.3f  lr %.2e",
        (long long)p->step, (long long)p->steps, p->loss_nats, exp(p->loss_nats),
        p->tok_per_s < 100 ? 1 : 0, p->tok_per_s, 100 * p->mfu,
        p->grad_norm, p->lr);
    if (isfinite(p->inner)) add(text, &n, "  inner %.3f", p->inner);
    if (p->skipped) add(text, &n, "  skipped %lld", (long long)p->skipped);
    if (isfinite(p->left_s)) add(text, &n, "  left %s", human_duration(t, p->left_s));
    if (p->save_steps > 0 && isfinite(p->save_s))
        add(text, &n, "  save in %lld steps or %s", (long long)p->save_steps,
            human_duration(t, p->save_s));
    else if (p->save_steps > 0) add(text, &n, "  save in %lld steps", (long long)p->save_steps);
    else if (isfinite(p->save_s)) add(text, &n, "  save in %s", human_duration(t, p->save_s));
}
