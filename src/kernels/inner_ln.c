/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_ln.h"

#include "src/kernels/row_sum.h"
#include "src/kernels/vecmath.h"

/* Several bodies from one text: for heads of the paper's width, so that a row stays in registers,
 * and any other; with and without a residual, and for both losses. */
#define BODY static inline __attribute__((always_inline)) void
#define USUAL 64

/* e of row n: [E21]. */
#define TARGET_I (residual ? v_n[i] - x_n[i] : v_n[i])
#define E_I (dot ? -v_n[i] : gamma[i] * h_n[i] + beta[i] - TARGET_I)

/* Sums of all rows of a block are taken at once (row_sum.h), and so are roots and quotients. */
#define BLOCK ROW_BLOCK
#define BLOCKS(n0, r) for (int n0 = 0; n0 < (r); n0 += BLOCK)
#define ROWS(n, n0, r) for (int n = n0; n < (r) && n < n0 + BLOCK; n++)

/* x (BLOCK) = the rows' sums times `by`. */
INLINE void sums(real *x, const struct row_folds *f, real by)
{
    row_sums(x, f);
    for (int i = 0; i < BLOCK; i++) x[i] *= by;
}

/* 1 / s of a block's rows. */
INLINE void inverses(real *inverse, const real *s, int n0, int r)
{
    for (int i = 0; i < BLOCK; i++) inverse[i] = 1;
    ROWS(n, n0, r) inverse[n - n0] = s[n];
    for (int i = 0; i < BLOCK; i++) inverse[i] = 1 / inverse[i];
}

BODY norm(real *restrict h, real *restrict s, const real *restrict z, int r, int F, real eps)
{
    const real per = (real)1 / (real)F;
    struct row_folds f = { 0 };
    real mean[BLOCK], var[BLOCK], inverse[BLOCK];
    BLOCKS(n0, r) {
        ROWS(n, n0, r) {
            const real *z_n = z + (int64_t)n * F;
            ROW_FOLD(&f, n - n0, F, z_n[i]);
        }
        sums(mean, &f, per);
        ROWS(n, n0, r) {
            const real *z_n = z + (int64_t)n * F, m = mean[n - n0];
            ROW_FOLD(&f, n - n0, F, (z_n[i] - m) * (z_n[i] - m));
        }
        sums(var, &f, per);
        for (int i = 0; i < BLOCK; i++) {
            var[i] = vsqrt(var[i] + eps);
            inverse[i] = 1 / var[i];
        }
        ROWS(n, n0, r) {
            const real *z_n = z + (int64_t)n * F, m = mean[n - n0], by = inverse[n - n0];
            real *h_n = h + (int64_t)n * F;
            s[n] = var[n - n0];
            for (int i = 0; i < F; i++) h_n[i] = (z_n[i] - m) * by;
        }
    }
}

CLONES
void inner_ln(real *h, real *s, const real *z, int r, int F, real eps)
{
    if (F == USUAL) norm(h, s, z, r, USUAL, eps);
    else norm(h, s, z, r, F, eps);
}

BODY grad(real *restrict g, const struct inner_ln_rows *restrict rows, int F, double *loss,
          int residual, int dot)
{
    const real *restrict h = rows->h, *restrict v = rows->v, *restrict x = rows->x;
    const real *restrict gamma = rows->gamma, *restrict beta = rows->beta, *s = rows->s;
    const real per = (real)1 / (real)F;
    const int r = rows->r;
    struct row_folds p = { 0 }, p_h = { 0 };
    real mean[BLOCK], along[BLOCK], inverse[BLOCK];
    BLOCKS(n0, r) {
        ROWS(n, n0, r) {
            const int64_t at = (int64_t)n * F;
            const real *h_n = h + at, *v_n = v + at, *x_n = x + at;
            real *g_n = g + at;
            for (int i = 0; i < F; i++) g_n[i] = E_I;
            if (loss) {
                real sum;
                if (dot) ROW_SUM(sum, F, -v_n[i] * (gamma[i] * h_n[i] + beta[i]));
                else ROW_SUM(sum, F, g_n[i] * g_n[i]);
                *loss += (dot ? 1 : 0.5) * (double)sum;
            }
            for (int i = 0; i < F; i++) g_n[i] *= gamma[i];                /* p */
            ROW_FOLD(&p, n - n0, F, g_n[i]);
            ROW_FOLD(&p_h, n - n0, F, g_n[i] * h_n[i]);
        }
        sums(mean, &p, per);
        sums(along, &p_h, per);
        inverses(inverse, s, n0, r);
        ROWS(n, n0, r) {
            const real *h_n = h + (int64_t)n * F;
            const real m = mean[n - n0], a = along[n - n0], by = inverse[n - n0];
            real *g_n = g + (int64_t)n * F;
            for (int i = 0; i < F; i++) g_n[i] = (g_n[i] - m - h_n[i] * a) * by;
        }
    }
}

CLONES
void inner_ln_grad(real *restrict g, const struct inner_ln_rows *restrict n, double *loss)
{
    if (n->dot) grad(g, n, n->F, loss, 0, 1);
    else if (n->residual && n->F == USUAL) grad(g, n, USUAL, loss, 1, 0);
    else if (n->residual) grad(g, n, n->F, loss, 1, 0);
    else grad(g, n, n->F, loss, 0, 0);
}

BODY backward(real *restrict dz, const struct inner_ln_grads *restrict o, const real *restrict dy,
              const struct inner_ln_rows *restrict rows, int F)
{
    const real *restrict h = rows->h, *restrict gamma = rows->gamma, *s = rows->s;
    real *restrict dgamma = o->dgamma, *restrict dbeta = o->dbeta;
    const real per = (real)1 / (real)F;
    const int r = rows->r;
    struct row_folds p = { 0 }, p_h = { 0 };
    real mean[BLOCK], along[BLOCK], inverse[BLOCK];
    BLOCKS(n0, r) {
        ROWS(n, n0, r) {
            const real *dy_n = dy + (int64_t)n * F, *h_n = h + (int64_t)n * F;
            for (int i = 0; i < F; i++) {
                dgamma[i] += dy_n[i] * h_n[i];
                dbeta[i] += dy_n[i];
            }
            ROW_FOLD(&p, n - n0, F, dy_n[i] * gamma[i]);
            ROW_FOLD(&p_h, n - n0, F, dy_n[i] * gamma[i] * h_n[i]);
        }
        sums(mean, &p, per);
        sums(along, &p_h, per);
        inverses(inverse, s, n0, r);
        ROWS(n, n0, r) {
            const real *dy_n = dy + (int64_t)n * F, *h_n = h + (int64_t)n * F;
            const real m = mean[n - n0], a = along[n - n0], by = inverse[n - n0];
            real *dz_n = dz + (int64_t)n * F;
            for (int i = 0; i < F; i++) dz_n[i] = (dy_n[i] * gamma[i] - m - h_n[i] * a) * by;
        }
    }
}

CLONES
void inner_ln_backward(real *restrict dz, const struct inner_ln_grads *restrict o,
                       const real *restrict dy, const struct inner_ln_rows *restrict n)
{
    if (n->F == USUAL) backward(dz, o, dy, n, USUAL);
    else backward(dz, o, dy, n, n->F);
}

BODY grad_backward(real *restrict dz, const struct inner_ln_grads *restrict o,
                   const real *restrict dg, const real *restrict g,
                   const struct inner_ln_rows *restrict rows, int F, int residual, int dot)
{
    const real *restrict h = rows->h, *restrict v = rows->v, *restrict x = rows->x;
    const real *restrict gamma = rows->gamma, *restrict beta = rows->beta, *s = rows->s;
    real *restrict dgamma = o->dgamma, *restrict dbeta = o->dbeta;
    real *restrict dv = o->dv, *restrict dx = o->dx;
    const real per = (real)1 / (real)F;
    const int r = rows->r;
    struct row_folds f[4] = { { .rest = { 0 } } };
    real dg_mean[BLOCK], dg_along[BLOCK], p_along[BLOCK], ds[BLOCK], mean[BLOCK], along[BLOCK];
    real inverse[BLOCK];

    BLOCKS(n0, r) {
        ROWS(n, n0, r) {
            const int64_t at = (int64_t)n * F;
            const real *dg_n = dg + at, *g_n = g + at, *h_n = h + at, *v_n = v + at, *x_n = x + at;
            ROW_FOLD(&f[0], n - n0, F, dg_n[i]);
            ROW_FOLD(&f[1], n - n0, F, dg_n[i] * h_n[i]);
            ROW_FOLD(&f[2], n - n0, F, E_I * gamma[i] * h_n[i]);
            ROW_FOLD(&f[3], n - n0, F, dg_n[i] * g_n[i]);
        }
        sums(dg_mean, &f[0], per);
        sums(dg_along, &f[1], per);
        sums(p_along, &f[2], per);
        sums(ds, &f[3], -1);
        inverses(inverse, s, n0, r);
        ROWS(n, n0, r) {
            const int64_t at = (int64_t)n * F;
            const real *dg_n = dg + at, *h_n = h + at, *v_n = v + at, *x_n = x + at;
            real *dz_n = dz + at, *dv_n = dv + at, *dx_n = dx + at;
            const real by = inverse[n - n0], m = dg_mean[n - n0], a = dg_along[n - n0];
            const real p_a = p_along[n - n0];
            for (int i = 0; i < F; i++) {
                const real e = E_I, p = e * gamma[i];
                const real dp = (dg_n[i] - m - h_n[i] * a) * by, de = dp * gamma[i];
                const real along_p = (dg_n[i] * p_a + p * a) * by;
                dgamma[i] += dot ? dp * e : dp * e + de * h_n[i];
                if (!dot) dbeta[i] += de;
                dv_n[i] -= de;
                if (residual) dx_n[i] += de;
                dz_n[i] = dot ? -along_p : de * gamma[i] - along_p;        /* dh */
            }
            ROW_FOLD(&f[0], n - n0, F, dz_n[i]);
            ROW_FOLD(&f[1], n - n0, F, dz_n[i] * h_n[i]);
        }
        sums(mean, &f[0], per);
        sums(along, &f[1], per);
        ROWS(n, n0, r) {
            const real *h_n = h + (int64_t)n * F;
            const real m = mean[n - n0], a = along[n - n0], by = inverse[n - n0];
            const real to_h = ds[n - n0] * by * per;
            real *dz_n = dz + (int64_t)n * F;
            for (int i = 0; i < F; i++) dz_n[i] = (dz_n[i] - m - h_n[i] * a) * by + to_h * h_n[i];
        }
    }
}

CLONES
void inner_ln_grad_backward(real *restrict dz, const struct inner_ln_grads *restrict o,
                            const real *restrict dg, const real *restrict g,
                            const struct inner_ln_rows *restrict n)
{
    if (n->dot) grad_backward(dz, o, dg, g, n, n->F, 0, 1);
    else if (n->residual && n->F == USUAL) grad_backward(dz, o, dg, g, n, USUAL, 1, 0);
    else if (n->residual) grad_backward(dz, o, dg, g, n, n->F, 1, 0);
    else grad_backward(dz, o, dg, g, n, n->F, 0, 0);
}
