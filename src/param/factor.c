/* SPDX-License-Identifier: Apache-2.0 */
#include "src/param/factor.h"

#include <limits.h>

/* Measured (OpenBLAS 0.3.21, one thread, n = 256 .. 2048): QR runs at 0.2 to 0.4 of the rate of
 * large products. */
#define QR_SHARE 0.3

int factored_of(struct factored *f, const struct param *p, int max_dim)
{
    const int64_t rows = p->ndim >= 2 ? p->shape[p->ndim - 2] : 1, cols = p->shape[p->ndim - 1];

    *f = (struct factored){ 0 };
    if (p->ndim > 3 || rows < 2 || cols < 2 || rows > INT_MAX || cols > INT_MAX) return 0;
    if (p->init == INIT_LOG_COUNT || p->init == INIT_STEP) return 0;
    if (p->init == INIT_ZERO || p->init == INIT_ONE || p->no_decay) return 0;
    *f = (struct factored){ .matrices = p->ndim == 3 ? (int)p->shape[0] : 1, .rows = (int)rows,
                            .cols = (int)cols, .has = { rows <= max_dim, cols <= max_dim } };
    return f->has[LEFT] || f->has[RIGHT];
}

int factor_dim(const struct factored *f, int side)
{
    return !f->has[side] ? 0 : side == LEFT ? f->rows : f->cols;
}

int factor_largest(const struct factored *f)
{
    const int l = factor_dim(f, LEFT), r = factor_dim(f, RIGHT);
    return l > r ? l : r;
}

int state_tensor_count(const struct param_table *t, int soap)
{
    struct factored f;
    int n = 3 * t->count;

    if (soap)
        for (int i = 0; i < t->count; i++)
            if (factored_of(&f, &t->p[i], soap)) n += 2 * (f.has[LEFT] + f.has[RIGHT]);
    return n;
}

int64_t factor_reals(const struct factored *f)
{
    int64_t n = 0;
    for (int side = 0; side < 2; side++) {
        const int64_t d = factor_dim(f, side);
        n += 2 * d * d;
    }
    return n * f->matrices;
}

int64_t factor_work(const struct factored *f)
{
    const int64_t each = 2 * (int64_t)f->rows * f->cols, d = factor_largest(f);
    return f->matrices * (each > d * d ? each : d * d);
}

/* Eigenvectors: a copy, and LAPACK's 2 d^2.  A power step: a copy, and one to permute. */
int64_t factor_refresh_work(const struct factored *f)
{
    const int64_t each = (int64_t)f->rows * f->cols, d = factor_largest(f);
    return 3 * d * d + 64 * d + (each > 2 * d * d ? each - 2 * d * d : 0);
}

double factor_flops(const struct factored *f, int every)
{
    double flops = 0;
    for (int side = 0; side < 2; side++) {
        const double d = factor_dim(f, side);
        flops += 8 * d * f->rows * f->cols;                    /* the factor, G, m, and back */
        flops += (2 + 8.0 / 3 / QR_SHARE) * d * d * d / every; /* one power step, QR         */
    }
    return flops * f->matrices;
}
