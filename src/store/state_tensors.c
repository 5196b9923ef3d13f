/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/state_tensors.h"

#include <stdio.h>

#include "src/base/mem.h"
#include "src/param/factor.h"
#include "src/store/manifest.h"

/* Whatever the model is called and its sides are (of at most 8 digits: model.c), a list of allowed
 * length fits a MANIFEST, next to the run's texts. */
#define ENTRY \
    (STATE_NAME + 9 * (PARAM_DIMS + 1) + sizeof "{\"dtype\":\"BF16\",\"name\":\"\",\"shape\":[]},")
_Static_assert(TENSOR_COUNT * ENTRY + ((size_t)1 << 20) <= MANIFEST_BYTES, "a MANIFEST holds them");
_Static_assert(STATE_NAME <= TENSOR_NAME && PARAM_DIMS <= TENSOR_DIMS, "a tile holds one");

static const char *const moments[] = { "", "adam.m/", "adam.v/" };
static const char *const factors[] = { "soap.left/", "soap.left_basis/", "soap.right/",
                                       "soap.right_basis/" };

static void name(struct tensor *x, const char *prefix, const struct param *p)
{
    snprintf(x->name, STATE_NAME, "%s%s", prefix, p->name);
}

/* Factor number k (0 .. 3) of a parameter: square, and as many as it has matrices. */
static int factor(struct tensor *x, const struct param *p, int soap, int k)
{
    struct factored f;

    if (!soap || !factored_of(&f, p, soap) || !factor_dim(&f, k / 2)) return 0;
    const int stack = f.matrices > 1;
    name(x, factors[k], p);
    x->dtype = DT_REAL;
    x->ndim = 2 + stack;
    x->shape[0] = f.matrices;
    x->shape[stack] = x->shape[stack + 1] = factor_dim(&f, k / 2);
    return 1;
}

struct tensor *state_tensors(int *count, const struct param_table *t, int bf16, int soap)
{
    int n = 0;

    *count = state_tensor_count(t, soap);
    if (*count > TENSOR_COUNT) return NULL;
    struct tensor *list = mem_new(*count, sizeof *list, "list of tensors");
    for (; n < 3 * t->count; n++) {
        const struct param *p = &t->p[n % t->count];
        struct tensor *x = &list[n];
        name(x, moments[n / t->count], p);
        x->dtype = bf16 && n >= t->count ? DT_BF16 : DT_REAL;
        x->ndim = p->ndim;
        for (int j = 0; j < p->ndim; j++) x->shape[j] = p->shape[j];
    }
    for (int i = 0; i < 4 * t->count; i++) n += factor(&list[n], &t->p[i / 4], soap, i % 4);
    return list;
}
