/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/param_tensors.h"

#include <stdio.h>

void param_tensors(struct tensor *list, const struct param_table *t, const char *prefix,
                   const real *v)
{
    for (int i = 0; i < t->count; i++) {
        const struct param *p = &t->p[i];
        struct tensor *x = &list[i];
        *x = (struct tensor){ .dtype = DT_REAL, .ndim = p->ndim, .data = (void *)(v + p->offset) };
        snprintf(x->name, sizeof x->name, "%s%s", prefix, p->name);
        for (int d = 0; d < p->ndim; d++) x->shape[d] = p->shape[d];
    }
}
