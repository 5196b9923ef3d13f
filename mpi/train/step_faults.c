/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/step_faults.h"

#include <math.h>
#include <stdio.h>

#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/status.h"

static int injected(const char *kind, const char *name)
{
    char place[TENSOR_NAME + 16];
    snprintf(place, sizeof place, "%s:%s", kind, name);
    return FAILPOINT(place) != OK;
}

int step_faults_begin(struct step_faults *f, struct model *m)
{
    *f = (struct step_faults){ .grad = -1, .once = -1 };
    if (!failpoint_armed) return 0;
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        if (injected("nan-grad", p->name)) f->grad = p->offset;
        if (injected("nan-once", p->name)) f->once = p->offset;
        if (f->weight || !injected("nan-weight", p->name)) continue;
        f->weight = m->w + p->offset;
        f->was = *f->weight;
        *f->weight = (real)NAN;
    }
    return f->weight != NULL;
}

void step_faults_gradient(const struct step_faults *f, struct grad *g, int again)
{
    const real bad = (real)NAN;
    if (f->grad >= 0) grad_add(g, f->grad, &bad, 1);
    if (f->once >= 0 && !again) grad_add(g, f->once, &bad, 1);
}

int step_faults_end(const struct step_faults *f)
{
    if (f->weight) *f->weight = f->was;
    return f->weight != NULL;
}

void step_faults_flip(const struct train_state *st, const char *kind)
{
    int64_t n;
    int count;

    if (!failpoint_armed) return;
    struct tensor *t = train_state_tensors(st, &count);
    struct place *p = train_state_places(st, 1, &n);
    for (int i = 0; i < count; i++) {
        if (!injected(kind, t[i].name)) continue;
        for (int64_t k = 0; k < n; k++)
            if (p[k].tensor == i && p[k].tile == 0) ((unsigned char *)p[k].raw)[1] ^= 4;
    }
    mem_free(t);
    mem_free(p);
}
