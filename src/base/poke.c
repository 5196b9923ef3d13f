/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/poke.h"

#include <stddef.h>

static void (*hook)(void *ctx);
static void *context;

void poke_hook(void (*f)(void *ctx), void *ctx)
{
    hook = f;
    context = ctx;
}

void poke(void)
{
    if (hook) hook(context);
}
